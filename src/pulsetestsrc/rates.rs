//! The `bpm` property: the rates of one to four faces.

use std::fmt;

use crate::scene::pulse::Rate;

/// Most faces in one picture.
pub const MAX_FACES: usize = 4;

/// What is wrong with a `bpm` string; names the item.
#[derive(Clone, Debug, PartialEq)]
pub enum RateError {
    /// This item can't be read.
    Syntax(String),
    /// A rate of this item lies outside 20..300 beats per minute.
    Range(String),
    /// A ramp of this item takes no time, or more than a day.
    Duration(String),
    /// There are this many items.
    Count(usize),
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            RateError::Syntax(item) => write!(
                f,
                "\"{item}\" is neither a rate such as 72 nor a ramp such as 60>120@60 \
                 (from 60 to 120 bpm within 60 s)"
            ),
            RateError::Range(item) => {
                write!(f, "\"{item}\" has a rate outside 20 to 300 beats per minute")
            }
            RateError::Duration(item) => {
                write!(f, "\"{item}\" has a duration that is not above 0 and within 86400 s")
            }
            RateError::Count(n) => write!(f, "{n} rates, but one to {MAX_FACES} faces fit"),
        }
    }
}

impl std::error::Error for RateError {}

/// Parses `RATE`, or `FROM>TO@SECONDS`, for each face, with commas between.
pub fn parse(text: &str) -> Result<Vec<Rate>, RateError> {
    let rates: Vec<Rate> =
        text.split(',').map(|item| parse_rate(item.trim())).collect::<Result<_, _>>()?;
    if rates.len() > MAX_FACES {
        return Err(RateError::Count(rates.len()));
    }
    Ok(rates)
}

fn parse_rate(item: &str) -> Result<Rate, RateError> {
    let number = |s: &str| s.trim().parse::<f64>().map_err(|_| RateError::Syntax(item.to_string()));
    let bpm = |s: &str| {
        let value = number(s)?;
        let inside = (20.0..=300.0).contains(&value);
        if inside { Ok(value) } else { Err(RateError::Range(item.to_string())) }
    };
    let Some((from, rest)) = item.split_once('>') else {
        return Ok(Rate::Constant(bpm(item)?));
    };
    let (to, seconds) = rest.split_once('@').ok_or_else(|| RateError::Syntax(item.to_string()))?;
    let (from, to, seconds) = (bpm(from)?, bpm(to)?, number(seconds)?);
    if !(seconds > 0.0 && seconds <= 86_400.0) {
        return Err(RateError::Duration(item.to_string()));
    }
    Ok(Rate::Ramp { from, to, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_lists_and_ramps_are_read() {
        assert_eq!(parse("72"), Ok(vec![Rate::Constant(72.0)]));
        let ramp = Rate::Ramp { from: 60.0, to: 120.0, seconds: 60.0 };
        assert_eq!(parse(" 60.5, 60 > 120 @ 60 "), Ok(vec![Rate::Constant(60.5), ramp]));
    }

    #[test]
    fn errors_name_the_item() {
        let syntax = |s: &str| Err(RateError::Syntax(s.to_string()));
        assert_eq!(parse("60,abc"), syntax("abc"));
        assert_eq!(parse(""), syntax(""));
        assert_eq!(parse("60>120"), syntax("60>120"));
        assert_eq!(parse("72,"), syntax(""));
        assert_eq!(parse("inf"), Err(RateError::Range("inf".into())));
        assert_eq!(parse("NaN"), Err(RateError::Range("NaN".into())));
        assert_eq!(parse("60>500@3"), Err(RateError::Range("60>500@3".into())));
        assert_eq!(parse("60>90@0"), Err(RateError::Duration("60>90@0".into())));
        assert_eq!(parse("1e2,60,70,80,90"), Err(RateError::Count(5)));
    }
}
