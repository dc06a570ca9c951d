//! Random histories, sent as bytes and checked by an independent witness: no gate opens without an approval.

mod witness;

use proptest::{prelude::*, strategy::ValueTree as _};

use self::witness::{Step, witness};
use crate::mutation;

fn happens() -> impl Strategy<Value = Step> {
    let garbled = prop_oneof![9 => Just(Vec::new()), 1 => mutation::changes(1..3)];
    let message = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), garbled).prop_map(
        |(path, phase, checksum, label, garbled)| Step::Message { path, phase, checksum, label, garbled },
    );
    let moved =
        (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(ticket, to, by)| Step::Moved { ticket, to, by });
    let millis = prop_oneof![8 => 0..120_000_i64, 2 => 0..1_000_000_i64, 1 => 0..400_000_000_i64];
    prop_oneof![
        10 => message,
        4 => moved,
        5 => (any::<u8>(), any::<u8>()).prop_map(|(ticket, how)| Step::Looked { ticket, how }),
        1 => any::<u8>().prop_map(|gate| Step::NotOpened { gate }),
        3 => millis.prop_map(|millis| Step::Later { millis }),
        1 => (0..2_000_000_u32).prop_map(|seconds| Step::Silence { seconds }),
    ]
}

/// A history of random steps, with an occasional approval that is read and asked about.
fn story(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let approval = (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(by, how, path)| {
        vec![
            Step::Moved { ticket: u8::MAX, to: u8::MAX, by },
            Step::Looked { ticket: u8::MAX, how },
            Step::Message { path, phase: u8::MAX, checksum: u8::MAX, label: 0, garbled: Vec::new() },
        ]
    });
    let steps = prop_oneof![8 => happens().prop_map(|next| vec![next]), 1 => approval];
    proptest::collection::vec(steps, 1..most).prop_map(|steps| steps.concat())
}

proptest! {
    #[test]
    fn nothing_opens_without_an_approval(
        story in story(40), ahead in -100_000_i64..100_000,
    ) {
        let mut witness = witness(1_790_000_000_000, ahead, true);
        for next in &story {
            witness.happens(next);
        }
    }

    /// Whenever windows open and close, nothing opens outside of them.
    #[test]
    fn nothing_opens_outside_of_a_window(
        story in story(40), length in prop_oneof![2_i64..600_000, 2_i64..20_000_000], ahead in -100_000_i64..100_000,
    ) {
        let mut witness = witness(1_790_000_000_000, ahead, true);
        witness.window = Some(length);
        for next in &story {
            witness.happens(next);
        }
    }

    /// The clock jumps anywhere within the range of `i64`.
    #[test]
    fn no_time_is_too_odd(
        story in proptest::collection::vec(prop_oneof![
            4 => happens(),
            1 => prop::sample::select(vec![i64::MIN, i64::MAX, -1, 0, 1 << 62]).prop_map(|millis| Step::Later { millis }),
            1 => any::<i64>().prop_map(|millis| Step::Later { millis }),
        ], 1..30),
        now in prop::sample::select(vec![i64::MIN, i64::MAX, 0, 1_790_000_000_000]), ahead: i64,
    ) {
        let mut witness = witness(now, ahead, false);
        for next in &story {
            witness.happens(next);
        }
    }
}

/// Checks that the random histories above open gates at all.
#[test]
fn some_histories_open_gates() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let stories = story(40);
    let opened = (0..500).map(|_| {
        let story = stories.new_tree(&mut runner).unwrap().current();
        let mut witness = witness(1_790_000_000_000, 0, true);
        story.iter().for_each(|next| witness.happens(next));
        witness.opened
    });
    let opened = opened.sum::<usize>();
    assert!(opened > 100, "{opened}");
}
