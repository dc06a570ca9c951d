//! Windows and freezes: whether they are for gates that there can be, whether calendars can be used, and what holds now.

use super::{finding::Finding, routes::unreachable_part};
use crate::{
    calendars,
    config::Config,
    millis::Millis,
    policy::{Calendars, Closed, Freeze, FreezeTime, GateSchedule, Match, WhenRead, Window},
};

/// A finding for each window and each freeze.
pub(super) fn schedule(config: &Config, now: Millis) -> Vec<Finding> {
    let schedule = &config.policy.schedule;
    let mut findings = Vec::new();
    for (nth, window) in schedule.windows.iter().enumerate() {
        let key = format!("windows[{nth}]");
        let unreachable = unreachable(&key, "window", &window.gates, config);
        findings.push(unreachable.unwrap_or_else(|| window_now(&key, window, now)));
    }
    for freeze in &schedule.freezes {
        let unreachable = unreachable(&freeze.key, "freeze", &freeze.gates, config);
        findings.push(unreachable.unwrap_or_else(|| freeze_now(freeze, now)));
    }
    findings
}

fn unreachable(key: &str, whose: &str, gates: &Match, config: &Config) -> Option<Finding> {
    unreachable_part(gates, config, whose)
        .map(|(name, what)| Finding::fail(format!("{key}.match.{name}"), what))
}

fn window_now(key: &str, window: &Window, now: Millis) -> Finding {
    let calendars = Calendars::default();
    let alone = GateSchedule::new(vec![window], vec![], &calendars);
    let key = format!("{key}.open");
    match alone.closed(now) {
        None => Finding::ok(key, format!("open now ({})", alone.window_words().unwrap_or_default())),
        Some(closed @ Closed { opens_at: Some(_), .. }) => {
            Finding::ok(key, format!("closed now; {}", closed.opens(WhenRead::Later)))
        }
        Some(Closed { windows, .. }) => {
            let what = format!(
                "{} never comes within the next 400 days; put other hours there",
                windows.unwrap_or_default()
            );
            Finding::fail(key, what)
        }
    }
}

fn freeze_now(freeze: &Freeze, now: Millis) -> Finding {
    let at = |name: &str| format!("{}.{name}", freeze.key);
    match &freeze.when {
        FreezeTime::Dates { period, .. } if period.until <= now => Finding::warn(
            at("until"),
            "is over, so this freeze closes nothing any more; take it out, or correct its dates",
        ),
        FreezeTime::Dates { period, .. } if period.contains(now) => Finding::ok(at("until"), "holds now"),
        FreezeTime::Dates { .. } => Finding::ok(at("from"), "does not hold yet"),
        FreezeTime::Calendar { file, zone } => match calendars::load(file, zone.as_ref(), now) {
            Ok(calendar) => {
                let coming = calendar.events().iter().filter(|event| event.period.until > now).count();
                let holds = calendar.events().iter().any(|event| event.period.contains(now));
                let now = if holds { "one holds now" } else { "none holds now" };
                match coming {
                    0 => Finding::warn(
                        at("calendar_file"),
                        "has no event in the next 400 days, so this freeze closes nothing; is it the right file?",
                    ),
                    1 => Finding::ok(at("calendar_file"), format!("1 event in the next 400 days; {now}")),
                    many => {
                        Finding::ok(at("calendar_file"), format!("{many} events in the next 400 days; {now}"))
                    }
                }
            }
            Err(why) => {
                let what = format!("{why}; until it can be used, the gates of this freeze stay closed");
                Finding::fail(at("calendar_file"), what)
            }
        },
    }
}
