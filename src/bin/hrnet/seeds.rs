//! Which synthetic clips to render.

use serde_json::{Map, Value};

use crate::groups::Filter;
use crate::prepare::parallel;

/// Clips that are drawn at a time.
const BATCH: usize = 256;
/// So many in a row without one that is asked for, and there is none.
const MOST: usize = 20 * BATCH;

/// The first `count` seeds, from `first` on, whose clips all `filters` take; `draw` has what is known
/// of a seed's clip. An error where a filter names an attribute that clips don't have, or none is
/// found.
pub fn find(
    (first, count): (u64, usize),
    filters: &[Filter],
    threads: u32,
    draw: impl Fn(u64) -> Map<String, Value> + Sync,
) -> Result<Vec<u64>, String> {
    let from = |place: usize| first.wrapping_add(place as u64);
    if filters.is_empty() {
        return Ok((0..count).map(from).collect());
    }
    let known = draw(first);
    if let Some(filter) = filters.iter().find(|f| !known.contains_key(f.key())) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(format!("--where {filter}: clips have {}", names.join(", ")));
    }
    let mut found = Vec::new();
    let (mut place, mut last) = (0, 0);
    while found.len() < count {
        if place - last >= MOST {
            let asked: Vec<String> = filters.iter().map(|f| format!("--where {f}")).collect();
            return Err(format!("{}: none of {MOST} clips in a row", asked.join(" ")));
        }
        let takes = |i| Ok(filters.iter().all(|f| f.takes(&draw(from(place + i)))));
        let taken = parallel(threads, BATCH, takes)?;
        let new = taken.iter().enumerate().filter_map(|(i, t)| t.then_some(from(place + i)));
        found.extend(new);
        place += BATCH;
        last = if taken.contains(&true) { place } else { last };
    }
    found.truncate(count);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64) -> Map<String, Value> {
        let json = serde_json::json!({ "tone": seed % 6 + 1, "motion": "none" });
        json.as_object().unwrap().clone()
    }

    #[test]
    fn the_seeds_that_are_asked_for_come_in_order() {
        let find = |filters: &[&str]| {
            let filters: Vec<Filter> = filters.iter().map(|f| Filter::parse(f).unwrap()).collect();
            super::find((10, 90), &filters, 2, draw)
        };
        assert_eq!(find(&[]).unwrap(), (10..100).collect::<Vec<u64>>());
        // Seeds 12, 13, 18, 19, …: beyond one batch.
        let pairs = (0..45).flat_map(|i| [12 + 6 * i, 13 + 6 * i]).collect::<Vec<u64>>();
        assert_eq!(find(&["motion=none", "tone=1,2"]).unwrap(), pairs);
        let unknown = find(&["tones=1"]).unwrap_err();
        assert_eq!(unknown, "--where tones=1: clips have motion, tone");
        let none = find(&["tone=1", "motion=strong"]).unwrap_err();
        assert_eq!(none, "--where tone=1 --where motion=strong: none of 5120 clips in a row");
    }
}
