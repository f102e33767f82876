//! Pages of lists. Without `page` and `per_page` a list answers everything: clients read one page of
//! monitors, pools and load balancers, and a default would hide objects from them.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::Shared;
use crate::envelope::{Envelope, ResultInfo};
use crate::error::ApiError;
use crate::extract::Params;

/// Items of one page.
pub(crate) const PER_PAGE_MAX: u64 = 1000;
/// Highest page; beyond it no list reaches.
pub(crate) const PAGE_MAX: u64 = 1_000_000_000;

/// The page asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// From 1.
    pub(crate) page: u64,
    /// `None`: everything is on page 1.
    pub(crate) per_page: Option<u64>,
}

impl Page {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let number = |name: &str, max: u64| {
            let what = format!("an integer in range [1, {max}]");
            let legal = |number: u64| {
                if (1..=max).contains(&number) {
                    Ok(number)
                } else {
                    Err(ApiError::InvalidQuery(format!("{name} {number} is not in range [1, {max}]")))
                }
            };
            params.parsed::<u64>(name, what)?.map(legal).transpose()
        };
        Ok(Self { page: number("page", PAGE_MAX)?.unwrap_or(1), per_page: number("per_page", PER_PAGE_MAX)? })
    }

    /// The page of a complete list.
    pub(crate) fn cut<T>(self, all: Vec<T>) -> Envelope<Vec<T>> {
        let (items, info) = self.cut_items(all);
        Envelope::page(items, info)
    }

    /// The same, for a list that the result only contains.
    pub(crate) fn cut_items<T>(self, all: Vec<T>) -> (Vec<T>, ResultInfo) {
        let total = all.len() as u64;
        let per_page = self.per_page.unwrap_or(total.max(1));
        let skip = usize::try_from((self.page - 1).saturating_mul(per_page)).unwrap_or(usize::MAX);
        let items: Vec<T> = all.into_iter().skip(skip).take(usize::try_from(per_page).unwrap_or(usize::MAX)).collect();
        let info = self.info(items.len() as u64, per_page, total);
        (items, info)
    }

    /// Where the page begins in the whole, and how many items it holds; `default` where nothing is asked for.
    ///
    /// # Panics
    /// With a default beyond [`PER_PAGE_MAX`].
    pub(crate) fn window(self, default: u64) -> (u64, u32) {
        let per_page = self.per_page.unwrap_or(default);
        let limit = u32::try_from(per_page).ok().filter(|_| per_page <= PER_PAGE_MAX).expect("a page has at most a thousand items");
        ((self.page - 1) * per_page, limit)
    }

    /// A page that the store has cut, with how many there are in all.
    pub(crate) fn told<T>(self, items: Vec<T>, per_page: u64, total_count: u64) -> Envelope<Vec<T>> {
        let info = self.info(items.len() as u64, per_page, total_count);
        Envelope::page(items, info)
    }

    fn info(self, count: u64, per_page: u64, total_count: u64) -> ResultInfo {
        ResultInfo { page: self.page, per_page, count, total_count, total_pages: total_count.div_ceil(per_page) }
    }
}

impl FromRequestParts<Shared> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        Self::of(&Params::from_request_parts(parts, state).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: the items, then page, items per page, count, total and number of pages.
    fn check(total: u32, page: u64, per_page: Option<u64>, expected: (&[u32], [u64; 5])) {
        let answer = serde_json::to_value(Page { page, per_page }.cut((1..=total).collect())).expect("serializes");
        let (items, [page, per_page, count, total_count, total_pages]) = expected;
        assert_eq!(answer["result"], serde_json::json!(items));
        let info =
            serde_json::json!({"page": page, "per_page": per_page, "count": count, "total_count": total_count, "total_pages": total_pages});
        assert_eq!(answer["result_info"], info);
    }

    #[test]
    fn a_list_is_whole_unless_a_page_is_asked_for_and_always_tells_the_truth() {
        check(3, 1, None, (&[1, 2, 3], [1, 3, 3, 3, 1]));
        check(3, 2, None, (&[], [2, 3, 0, 3, 1]));
        check(0, 1, None, (&[], [1, 1, 0, 0, 0]));
        check(3, 1, Some(2), (&[1, 2], [1, 2, 2, 3, 2]));
        check(3, 2, Some(2), (&[3], [2, 2, 1, 3, 2]));
        check(3, 9, Some(2), (&[], [9, 2, 0, 3, 2]));
        check(3, 1_000_000_000, Some(1000), (&[], [1_000_000_000, 1000, 0, 3, 1]));
    }
}
