//! PURE: each step of traffic has a gate of its own, and no approval opens two steps.
//!
//! Flagger's questions do not say which step they are about, and it asks again about a step only if it did not take it.
//! So an approval that let it pass once is over, unless it is proven that Flagger has not taken that step: the Canary, read
//! after the question came, has the weight that the ticket shows, and another gate of the same step has never been open.

use super::step::Step;
use crate::{
    gate::{Gate, GateName, Share, Stage, TrafficStep},
    rollout::{
        canary::{Canary, Rollout},
        step_reading::StepReading,
    },
};

/// How many different messages of one rollout are kept and written to its tickets. Beyond them, the last one heard may not
/// be among them.
pub(super) const MOST_REPORTS: usize = 100;

impl Rollout {
    /// The gates of steps of traffic.
    fn steps(&self) -> impl Iterator<Item = (u32, TrafficStep, &Gate)> {
        self.gates.iter().filter_map(|gate| Some((gate.name.step?, gate.step?, gate)))
    }

    /// The number of the step that was asked about last; 0 if none was.
    fn last_step(&self) -> u32 {
        self.steps().map(|(number, ..)| number).max().unwrap_or_default()
    }

    /// The number of the step that is asked about now at this gate: the next one if the last one is over. A rejection holds up
    /// all steps after it: Flagger is asked about the rejected one until that is taken back.
    fn step_number(&self, name: &GateName) -> u32 {
        let rejected = self.steps().filter(|(_, _, gate)| gate.name.is_sibling(name) && gate.is_rejected());
        if let Some(rejected) = rejected.map(|(number, ..)| number).max() {
            return rejected;
        }
        let last = self.last_step();
        let is_over = self.steps().any(|(number, step, _)| number == last && step.over);
        if is_over { last.saturating_add(1) } else { last.max(1) }
    }

    /// Whether another ticket let Flagger take the step of this gate: if two questions are on their way at once, the second
    /// one may open a ticket for a step that the first one had let Flagger take.
    pub(super) fn took_step_of(&self, gate: &Gate) -> bool {
        let Some(TrafficStep { share, over: true }) = gate.step else { return false };
        let is_same = |other: &Gate| {
            other.name.is_sibling(&gate.name)
                && other.used.is_some()
                && other.step.is_some_and(|step| step.share.before == share.before)
        };
        self.gates.iter().any(is_same)
    }

    /// The share of the traffic that Flagger last reported, if it is certain which report was the last.
    fn heard_share(&self) -> Share {
        let is_complete = self.reports.len() < MOST_REPORTS;
        let before = self.reports.iter().rev().find_map(|report| advanced_to(report)).filter(|_| is_complete);
        Share { before, ..Share::default() }
    }
}

/// `Advance podinfo.test canary weight 10`
fn advanced_to(report: &str) -> Option<u8> {
    let (_, weight) = report.strip_prefix("Advance ")?.split_once(" canary weight ")?;
    weight.parse().ok().filter(|weight| *weight <= 100)
}

impl Canary {
    /// The gate that a question at this stage is about, if each step of traffic has its own: the newest one, unless that
    /// step is over.
    #[must_use]
    pub fn step_gate(&self, name: &GateName) -> Option<&Gate> {
        self.gate(&self.step_name(name))
    }

    /// The name of that gate, or of the one that is to be opened.
    #[must_use]
    pub fn step_name(&self, name: &GateName) -> GateName {
        name.at_step(self.rollout.as_ref().map_or(1, |rollout| rollout.step_number(name)))
    }
}

impl Step {
    /// The gate that a question is about, and what a new ticket for it would show. `None`: it needs a new one, and it is not
    /// known what that would have to show. What is over is marked as that.
    pub(super) fn step_asked_about(
        &mut self,
        name: &GateName,
        reading: &StepReading,
    ) -> Option<(GateName, Share)> {
        if name.stage != Stage::ConfirmTrafficIncrease {
            return None;
        }
        let rollout = self.canary.rollout.as_mut()?;
        let (share, is_read) = match reading {
            StepReading::Read(share) => (Some(*share), true),
            StepReading::NotRead => (Some(rollout.heard_share()), false),
            StepReading::Unread { .. } => (None, false),
        };
        let last = rollout.last_step();
        if is_over(rollout, name, last, share, is_read) {
            let gates = rollout.gates.iter_mut().filter(|gate| gate.name.step == Some(last));
            gates.filter_map(|gate| gate.step.as_mut()).for_each(|step| step.over = true);
        }
        let name = name.at_step(rollout.step_number(name));
        match (self.canary.gate(&name).and_then(|gate| gate.step), share) {
            (Some(step), _) => Some((name, step.share)),
            (None, share) => Some((name, share?)),
        }
    }
}

/// Whether the last step is over, as far as this question shows.
fn is_over(rollout: &Rollout, name: &GateName, last: u32, share: Option<Share>, is_read: bool) -> bool {
    let of_step =
        || rollout.steps().filter(move |(number, ..)| *number == last).map(|(.., step, gate)| (step, gate));
    if share.is_some_and(|share| of_step().any(|(step, _)| share.is_another(step.share))) {
        return true;
    }
    let Some((step, gate)) = of_step().find(|(_, gate)| gate.name.is_sibling(name)) else { return false };
    if gate.used.is_none() {
        return false;
    }
    // It let Flagger pass before. Flagger goes on only if all gates of the step do.
    let is_same =
        is_read && step.share.before.is_some() && share.and_then(|share| share.before) == step.share.before;
    let is_held_up = of_step().any(|(_, gate)| gate.used.is_none());
    !(is_same && is_held_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flagger_reports_of_a_step() {
        for (report, expected) in [
            ("Advance podinfo.test canary weight 10", Some(10)),
            ("Advance a.b canary weight 0", Some(0)),
            ("Advance a.b canary weight 101", None),
            ("Advance a.b canary weight -1", None),
            ("Advance a.b canary weight 10 or so", None),
            ("Advance podinfo.test canary iteration 1/10", None),
            ("Halt podinfo.test advancement success rate 69.17% < 99%", None),
            ("advance a.b canary weight 10", None),
            ("", None),
        ] {
            assert_eq!(advanced_to(report), expected, "{report}");
        }
    }
}
