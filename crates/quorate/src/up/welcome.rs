//! What to try next, with commands to copy.

use std::path::Path;

use quorate_core::ids::PoolId;

/// What the text is about.
#[derive(Clone, Debug)]
pub(super) struct Welcome<'a> {
    /// How this program was called: `target/debug/quorate`.
    pub program: &'a str,
    pub data_dir: &'a Path,
    /// The folder is not the default one, so commands have to name it.
    pub names_data_dir: bool,
    /// Ends in `/client/v4`.
    pub url: &'a str,
    pub token: &'a str,
    pub account: &'a str,
    /// The pool to break and heal, where there is one.
    pub shop: Option<PoolId>,
    /// Whether origins can tell regions apart.
    pub tells_regions: bool,
}

impl Welcome<'_> {
    /// Fewer than 20 lines.
    pub(super) fn text(&self) -> String {
        let data_dir = self.data_dir.display();
        let folder = if self.names_data_dir { format!(" --data-dir {data_dir}") } else { String::new() };
        let demo = |rest: &str| format!("  {} demo {rest}{folder}", self.program);
        let get = |path: &str| format!("  curl -s -H \"Authorization: Bearer {}\" {}{path}", self.token, self.url);
        let account = format!("/accounts/{}/load_balancers", self.account);
        let mut lines =
            vec![String::new(), format!("Quorate is up at {}. Its workers may probe loopback addresses on this machine.", self.url)];
        if let Some(shop) = self.shop {
            lines.push("In another terminal, break an origin, and watch here:".to_owned());
            if self.tells_regions {
                lines.push(demo("break shop-1 --from WEU"));
                lines.push("    # one region of three: the verdict holds".to_owned());
            }
            lines.push(demo("break shop-1"));
            lines.push("    # everywhere: it goes down, with one event; `demo heal shop-1` brings it back".to_owned());
            lines.push("Ask who votes what, and what would turn the verdict; what changed; how every failure is named:".to_owned());
            lines.push(get(&format!("{account}/pools/{shop}/quorum")));
            lines.push(get("/user/load_balancing_analytics/events"));
            lines.push(get(&format!("{account}/pools")));
        } else {
            lines.push("It is empty. Ask for its pools, and make one by POST to the same address:".to_owned());
            lines.push(get(&format!("{account}/pools")));
        }
        lines.push(format!("For scripts: `. {data_dir}/env`. Log: {data_dir}/quorate.log. Ctrl-C stops everything and keeps the data."));
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shorter_than_20_lines_and_has_the_real_token() {
        let mut welcome = Welcome {
            program: "target/debug/quorate",
            data_dir: Path::new("/srv/q"),
            names_data_dir: true,
            url: "http://127.0.0.1:8080/client/v4",
            token: "qrt_token",
            account: "0a",
            shop: Some(PoolId::from_bytes([1; 16])),
            tells_regions: true,
        };
        let text = welcome.text();
        assert!(text.lines().count() < 20, "{text}");
        assert!(text.contains("target/debug/quorate demo break shop-1 --from WEU --data-dir /srv/q"), "{text}");
        assert!(text.contains("Bearer qrt_token\" http://127.0.0.1:8080/client/v4/accounts/0a/load_balancers/pools/01010101"), "{text}");
        welcome.tells_regions = false;
        assert!(!welcome.text().contains("--from"));
        welcome.shop = None;
        assert!(!welcome.text().contains("demo break"));
    }
}
