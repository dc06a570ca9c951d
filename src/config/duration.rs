//! Durations as the configuration writes them: a whole number and a unit.

use std::time::Duration;

/// Longer than any useful duration, and so short that no sum of times overflows.
const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads `20s`: a whole number and `ms`, `s`, `m`, `h` or `d`, above zero and at most 100 years.
///
/// # Errors
/// What is wrong, as the rest of a sentence that begins with the text.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str = "is not a duration; write a whole number with ms, s, m, h or d, for example \"20s\"";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(SHAPE),
    };
    if number.is_empty() {
        return Err(SHAPE);
    }
    // The digits can fail to parse only if the number is too large.
    let duration = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or("is too long; at most 36500d")?;
    if duration.is_zero() {
        return Err("must be above zero");
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, millis) in
            [("1ms", 1), ("20s", 20_000), ("2m", 120_000), ("72h", 259_200_000), ("007d", 604_800_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in
            ["", "20", "s", "1.5h", "-1s", "+1s", "20 s", " 20s", "20S", "1h30m", "1w", "forever", "２s"]
        {
            assert_eq!(
                parse(text),
                Err("is not a duration; write a whole number with ms, s, m, h or d, for example \"20s\""),
                "{text}"
            );
        }
        assert_eq!(parse("0s"), Err("must be above zero"));
        for text in ["36501d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(text), Err("is too long; at most 36500d"), "{text}");
        }
    }
}
