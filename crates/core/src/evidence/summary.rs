//! The evidence as one sentence, for a person in a hurry.

use std::fmt::Write as _;

use crate::electorate::Electorate;
use crate::quorum::Tally;
use crate::vote::{Published, Verdict};

/// `Up: 2 of 3 regions say up, 1 says down; 2 votes in 1 region would turn it down.`
pub(super) fn sentence(published: Published, electorate: &Electorate, tally: &Tally) -> String {
    let head = head(published);
    // One list of all PoPs is counted in PoPs, everything else in regions.
    let one_list = matches!(electorate.regions(), [only] if only.region().is_none());
    format!("{head}: {}; {}.", voices(published, one_list, tally), outlook(published, one_list, tally))
}

/// The first word.
pub(super) const fn head(published: Published) -> &'static str {
    match published {
        Published::Up => "Up",
        Published::Down => "Down",
        Published::Unknown => "Unknown",
    }
}

/// Who says what.
fn voices(published: Published, one_list: bool, tally: &Tally) -> String {
    let (noun, total, up, down, without) = if let (true, [only]) = (one_list, tally.regions.as_slice()) {
        ("PoP", only.assigned, only.up, only.down, 0)
    } else {
        let saying = |verdict| count(tally.regions.iter().filter(|region| region.verdict == Some(verdict)).count());
        let without = count(tally.regions.iter().filter(|region| region.assigned == 0).count());
        ("region", count(tally.regions.len()), saying(Verdict::Up), saying(Verdict::Down), without)
    };
    if total == 0 {
        return format!("no {noun} votes");
    }
    // The side that the verdict is on comes first.
    let mut sides = [("up", up), ("down", down)];
    if published == Published::Down {
        sides.reverse();
    }
    let [(first, leading), (second, trailing)] = sides;
    let mut text = format!("{leading} of {} {} {first}", plural(total, noun), say(leading));
    if trailing > 0 {
        let _ = write!(text, ", {trailing} {} {second}", say(trailing));
    }
    let silent = total - up - down - without;
    if silent > 0 {
        let _ = match noun {
            "PoP" => write!(text, ", {silent} {} no vote", if silent == 1 { "has" } else { "have" }),
            _ => write!(text, ", {silent} {} undecided", if silent == 1 { "is" } else { "are" }),
        };
    }
    if without > 0 {
        let _ = write!(text, ", {without} {} no workers", if without == 1 { "has" } else { "have" });
    }
    text
}

/// What follows: what would turn the verdict, or why nothing can.
fn outlook(published: Published, one_list: bool, tally: &Tally) -> String {
    let stays = if published == Published::Unknown { "there is no verdict yet" } else { "the verdict stays" };
    if tally.quorum_lost() {
        let missing: u32 = tally.regions.iter().map(crate::quorum::RegionTally::missing).sum();
        let assigned: u32 = tally.regions.iter().map(|region| region.assigned).sum();
        return match missing {
            0 => format!("quorum is lost for want of workers, so {stays}"),
            _ => format!("quorum is lost, {missing} of {} missing, so {stays}", plural(assigned, "vote")),
        };
    }
    match (tally.verdict, tally.flip(published)) {
        (Some(verdict), _) if published != Published::from(verdict) => format!("the majority now says {}", name(verdict)),
        (_, None) => "too many regions have no workers for any votes to turn it".to_owned(),
        (majority, Some(flip)) => {
            let mut text = if majority.is_none() { format!("no majority, so {stays}; ") } else { String::new() };
            text.push_str(&plural(flip.votes, "vote"));
            if !one_list {
                let _ = write!(text, " in {}", plural(flip.regions, "region"));
            }
            let _ = write!(text, " would turn it {}", name(flip.to));
            text
        }
    }
}

const fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Up => "up",
        Verdict::Down => "down",
    }
}

const fn say(number: u32) -> &'static str {
    if number == 1 { "says" } else { "say" }
}

fn plural(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
