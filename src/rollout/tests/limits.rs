//! Gates that nobody decides for long: reminders, and time limits.

use proptest::prelude::*;

use super::*;
use crate::policy::{Milestone, OnTimeout, TimeLimits};

const HOUR: Duration = Duration::from_hours(1);

fn limits(on_timeout: OnTimeout) -> TimeLimits {
    TimeLimits { decide_within: Some(6 * HOUR), on_timeout, remind_after: vec![HOUR, 4 * HOUR] }
}

fn promotion() -> GateName {
    GateName { stage: Stage::ConfirmPromotion, approver: None, step: None }
}

/// A canary with limits, and what was written to its ticket.
struct Limited {
    world: World,
    limits: TimeLimits,
    gate: GateId,
    written: Vec<String>,
}

impl Limited {
    fn new(limits: TimeLimits) -> Self {
        let validity = Validity { reject_after: limits.reject_after(), ..RULES.validity };
        // No silence ends the rollout.
        let (idle_after, abandon_after) = (Duration::MAX, Duration::MAX);
        let rules = Rules { validity, idle_after, abandon_after, ..RULES };
        let mut world = World { rules, ..World::new() };
        let gate = world.asks(&promotion(), &message(Phase::Progressing, "r")).1.unwrap();
        Self { world, limits, gate, written: Vec::new() }
    }

    fn gate(&self) -> &Gate {
        self.world.canary.gate_by_id(&self.gate).unwrap()
    }

    fn at(&self) -> &str {
        let moves = self.world.moves.get(&self.gate).map(Vec::as_slice).unwrap_or_default();
        moves.last().map_or("To Do", |last| &last.to.name)
    }

    /// A person moves the ticket, which nobody reads yet.
    fn moved(&mut self, to: &str) {
        let from = status(self.at()).id;
        let moves = self.world.moves.entry(self.gate.clone()).or_default();
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let changelog_id = (moves.len() + 1).to_string();
        moves.push(Move { changelog_id, by, at: self.world.now, from, to: status(to) });
    }

    fn is_read(&mut self) {
        let (gate, at, read) = (self.gate.clone(), self.at().to_owned(), self.world.now);
        let mut commands = self.world.sees(&gate, &at);
        let limits = self.limits.clone();
        commands.extend(self.world.apply(&Event::Waited { gate: &gate, limits: &limits, read }));
        for command in commands {
            if let Command::Comment { notice, .. } = &command {
                self.written.push(notice.tag());
            } else if matches!(command, Command::Move { milestone: Milestone::TimedOut, .. }) {
                self.written.push("moved".to_owned());
            }
        }
    }

    fn asks(&mut self) -> bool {
        self.world.asks(&promotion(), &message(Phase::Progressing, "r")).0
    }

    fn verdict(&self) -> Verdict {
        self.gate().verdict(self.world.now, self.world.rules.validity)
    }

    fn later(&mut self, by: Duration) {
        self.world.now = self.world.now + by;
    }
}

#[test]
fn reminders_come_once_and_then_the_limit() {
    for (on_timeout, last, verdict) in [
        (OnTimeout::Wait, &["overdue-21600000"][..], Verdict::Waiting),
        (OnTimeout::Reject, &["timed-out", "moved"], Verdict::Rejected),
    ] {
        let mut one = Limited::new(limits(on_timeout));
        for _ in 0..16 {
            one.later(HOUR / 2);
            one.is_read();
        }
        let expected: Vec<&str> =
            ["reminder-3600000", "reminder-14400000"].into_iter().chain(last.iter().copied()).collect();
        assert_eq!(
            (one.written.as_slice(), one.verdict()),
            (&expected.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..], verdict)
        );
        assert_eq!(one.world.canary.rolls_back().is_some(), on_timeout == OnTimeout::Reject);
    }
}

#[test]
fn of_several_that_are_due_only_the_last_is_written() {
    let mut one = Limited::new(limits(OnTimeout::Wait));
    one.later(5 * HOUR);
    one.is_read();
    assert_eq!(one.written, ["reminder-14400000"]);
    let mut one = Limited::new(limits(OnTimeout::Wait));
    one.later(7 * HOUR);
    one.is_read();
    one.is_read();
    assert_eq!(one.written, ["overdue-21600000"]);
}

#[test]
fn what_was_decided_in_time_counts_whenever_it_is_read() {
    let mut one = Limited::new(limits(OnTimeout::Reject));
    one.later(6 * HOUR);
    one.moved("Approved");
    one.later(HOUR);
    one.is_read();
    assert!(one.asks() && one.gate().timed_out.is_none());
    // A moment later it is too late, and stays so.
    let mut one = Limited::new(limits(OnTimeout::Reject));
    one.later(6 * HOUR + Duration::from_secs(1));
    one.moved("Approved");
    one.is_read();
    assert!(!one.asks() && one.verdict() == Verdict::Rejected);
    one.moved("To Do");
    one.moved("Approved");
    one.is_read();
    assert!(!one.asks() && one.written.contains(&"too-late-3".to_owned()), "{:?}", one.written);
    // Without the limit that rejects it opens.
    let mut one = Limited::new(limits(OnTimeout::Wait));
    one.later(7 * HOUR);
    one.moved("Approved");
    one.is_read();
    assert!(one.asks());
    // An older answer of Jira did not show it.
    let mut one = Limited::new(limits(OnTimeout::Reject));
    one.later(7 * HOUR);
    one.is_read();
    assert_eq!(one.verdict(), Verdict::Rejected);
    let late = one.world.now;
    one.world.now = Millis(0) + HOUR;
    one.moved("Approved");
    one.world.now = late;
    one.is_read();
    assert!(one.asks());
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Later(u32),
    Move(&'static str),
    Read,
    Ask,
}

proptest! {
    /// No gate opens by an approval that came too late, unless it was opened before; none is rejected while an approval
    /// stands that came in time; and no comment is written twice, or on a ticket that is decided.
    #[test]
    fn random_histories_keep_the_limit(
        rejects: bool,
        actions in prop::collection::vec(prop_oneof![
            3 => (1_u32..150).prop_map(Action::Later),
            2 => prop::sample::select(vec!["Approved", "Approved", "To Do", "Rejected"]).prop_map(Action::Move),
            3 => Just(Action::Read),
            2 => Just(Action::Ask),
        ], 1..40),
    ) {
        let on_timeout = if rejects { OnTimeout::Reject } else { OnTimeout::Wait };
        let mut one = Limited::new(limits(on_timeout));
        let due = Millis(0) + 6 * HOUR;
        // When the approval was made that stands, and whether one was used.
        let (mut approved, mut used, mut is_current) = (None, false, true);
        for action in actions {
            match action {
                Action::Later(minutes) => one.later(Duration::from_secs(u64::from(minutes) * 60)),
                Action::Move(to) if to != one.at() => {
                    one.moved(to);
                    approved = (to == "Approved").then_some(one.world.now);
                    is_current = false;
                }
                Action::Move(_) => {}
                Action::Read => {
                    let (written, was) = (one.written.len(), one.gate().timed_out);
                    one.is_read();
                    is_current = true;
                    if one.gate().timed_out != was {
                        prop_assert!(rejects && !used && one.world.now > due && approved.is_none_or(|at| at > due));
                        prop_assert!(one.at() != "Rejected");
                    }
                    let asks = one.written[written..].iter().any(|tag| tag.starts_with("remind") || tag.starts_with("overdue"));
                    prop_assert!(!asks || !used && one.at() == "To Do");
                }
                Action::Ask => {
                    if one.asks() {
                        prop_assert!(used || !is_current || approved.is_some_and(|at| !rejects || at <= due));
                        used = true;
                    }
                }
            }
        }
        for tag in one.written.iter().filter(|tag| !tag.starts_with("passed")) {
            prop_assert_eq!(one.written.iter().filter(|other| *other == tag).count(), 1, "{}", tag);
        }
    }
}
