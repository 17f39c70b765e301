use proptest::prelude::*;

use super::*;
use crate::record::event::{Checkpointed, Ended, Evaluated, Started, Status, Step, Summary, Trainable};
use crate::record::files::{MAX_PROBLEMS, MAX_ROW_BYTES};

fn step(number: usize) -> Event {
    Event::Step(Step {
        epoch: 1,
        step: number,
        loss: 2.5,
        learning_rate: 1e-5,
        gradient_norm: 0.5,
        images_per_second: 12.0,
        ..Step::default()
    })
}

fn log_of_two_steps(folder: &Path) -> PathBuf {
    let path = folder.join("events.jsonl");
    let mut journal = Journal::open(&path, 1).unwrap();
    journal.append(step(1)).unwrap();
    journal.append(step(2)).unwrap();
    path
}

fn steps_of(lines: &[Line]) -> Vec<usize> {
    let step = |line: &Line| match &line.event {
        Event::Step(step) => step.step,
        _ => usize::MAX,
    };
    lines.iter().map(step).collect()
}

#[test]
fn a_line_has_the_form_of_the_contract() {
    let line = Line { at: "2026-01-09T12:00:00.000Z".into(), attempt: 2, event: step(7) };
    assert_eq!(
        encode(&line).unwrap(),
        r#"{"v":1,"at":"2026-01-09T12:00:00.000Z","attempt":2,"event":"step","epoch":1,"step":7,"loss":2.5,"learning_rate":0.00001,"gradient_norm":0.5,"images_per_second":12.0}"#
    );
}

#[test]
fn a_step_that_was_skipped_says_so_and_one_of_before_there_were_any_is_read() {
    let Event::Step(plain) = step(7) else { unreachable!() };
    let skipped = Step {
        gradient_norm: f64::INFINITY,
        loss_scale: Some(65536.0),
        skipped_steps: Some(1),
        ..plain.clone()
    };
    let line = Line { at: "2026-01-09T12:00:00.000Z".into(), attempt: 1, event: Event::Step(skipped) };
    let text = encode(&line).unwrap();
    assert!(
        text.contains(
            r#""gradient_norm":null,"images_per_second":12.0,"loss_scale":65536.0,"skipped_steps":1}"#
        ),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let old = encode(&Line { event: Event::Step(plain.clone()), ..line }).unwrap();
    std::fs::write(&path, format!("{old}\n{text}\n")).unwrap();
    let (lines, problems) = read(&path).unwrap();
    assert!(problems.is_empty() && lines[0].event == Event::Step(plain));
    let Event::Step(read) = &lines[1].event else { panic!("{:?}", lines[1]) };
    assert!(read.gradient_norm.is_nan() && read.skipped_steps == Some(1));
}

#[test]
fn appended_lines_are_read_back_in_order_with_time_and_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    let written = Journal::open(&path, 2).unwrap().append(step(3)).unwrap();
    let (lines, problems) = read(&path).unwrap();
    assert_eq!(steps_of(&lines), [1, 2, 3]);
    assert_eq!(lines[2], written);
    assert_eq!(lines.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 1, 2]);
    assert!(humantime::parse_rfc3339(&written.at).is_ok(), "{}", written.at);
    assert!(problems.is_empty());
}

#[test]
fn a_log_that_does_not_exist_has_no_lines() {
    let (lines, problems) = read(Path::new("/nowhere/events.jsonl")).unwrap();
    assert!(lines.is_empty() && problems.is_empty());
}

#[test]
fn a_log_cut_at_any_byte_loses_only_its_last_line_and_can_be_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        let complete = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let expected: Vec<usize> = (1..=complete).collect();
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (lines, problems) = read(&path).unwrap();
        assert_eq!((steps_of(&lines), problems.len()), (expected.clone(), 0), "cut at {cut}");
        Journal::open(&path, 2).unwrap().append(step(9)).unwrap();
        let (lines, problems) = read(&path).unwrap();
        assert_eq!((steps_of(&lines), problems.len()), ([expected, vec![9]].concat(), 0), "cut at {cut}");
    }
}

#[test]
fn a_byte_that_changed_anywhere_is_told_by_the_offset_of_its_line_and_costs_that_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    Journal::open(&path, 1).unwrap().append(step(3)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] == b'\n').collect();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        // No byte of a log is above 127, so this is always no UTF-8.
        damaged[place] ^= 0x80;
        std::fs::write(&path, damaged).unwrap();
        let line = ends.iter().filter(|end| **end < place).count();
        let start = if line == 0 { 0 } else { ends[line - 1] + 1 };
        // Without its end a line runs on into the next one; the last one is then torn.
        let lost = if ends.contains(&place) { vec![line + 1, line + 2] } else { vec![line + 1] };
        let is_torn = place + 1 == whole.len();
        let (lines, problems) = read(&path).unwrap();
        let kept: Vec<usize> = (1..=3).filter(|step| !lost.contains(step)).collect();
        assert_eq!(steps_of(&lines), kept, "byte {place}");
        let told = [format!("line at byte {start}: not UTF-8")];
        assert_eq!(problems, if is_torn { &told[..0] } else { &told[..] }, "byte {place}");
    }
}

#[cfg(unix)]
#[test]
fn a_log_is_given_up_once_a_line_did_not_reach_the_disk() {
    // A device that takes everything and keeps nothing, and one that is always full.
    for (device, event) in [("/dev/null", Event::Checkpointed(checkpointed())), ("/dev/full", step(1))] {
        if !Path::new(device).exists() {
            continue;
        }
        let mut journal = Journal::open(Path::new(device), 1).unwrap();
        let first = journal.append(event).unwrap_err().to_string();
        assert!(first.starts_with(&format!("{device}: cannot write: ")), "{first}");
        let second = journal.append(step(2)).unwrap_err().to_string();
        assert!(second.contains("given up after an earlier line"), "{second}");
    }
}

fn checkpointed() -> Checkpointed {
    Checkpointed { epoch: 1, step: 2, checkpoint: "best".into() }
}

#[test]
fn a_torn_tail_longer_than_a_block_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &vec![b'x'; 200_000]].concat()).unwrap();
    Journal::open(&path, 2).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn the_end_of_a_run_is_read_from_its_last_complete_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    assert_eq!(read_end(&folder.path().join("none")).unwrap(), None);
    assert_eq!(read_end(&path).unwrap(), None, "the last line is a step");
    let ended = Ended { status: Status::Finished, reason: None, summary: Summary::default() };
    Journal::open(&path, 1).unwrap().append(Event::Ended(Box::new(ended.clone()))).unwrap();
    assert_eq!(read_end(&path).unwrap(), Some(ended.clone()));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"v\":1"].concat()).unwrap();
    assert_eq!(read_end(&path).unwrap(), Some(ended), "a torn line behind the end is passed over");
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read_end(&path).unwrap(), None, "the end itself is torn");
}

#[test]
fn damaged_lines_are_reported_by_offset_and_the_others_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of_two_steps(folder.path());
    let good = std::fs::read(&path).unwrap();
    let offset = good.len();
    let long = format!("{{\"v\":1,\"at\":\"{}\"}}", "x".repeat(MAX_ROW_BYTES));
    let damaged: [&[u8]; 8] = [
        br#"{"v":1,"at":"2026-"#,
        b"\xff\xfe",
        br#"{"v":2,"at":"t","attempt":1,"event":"step"}"#,
        br#"{"v":1,"at":"t","attempt":1,"event":"paused"}"#,
        br#"{"v":1,"at":"t","attempt":1,"event":"step","epoch":-1}"#,
        br#"{"v":1,"at":"t","event":"step"}"#,
        long.as_bytes(),
        b"[]",
    ];
    let bytes = [&good[..], &damaged.join(&b'\n'), b"\n", &good[..]].concat();
    std::fs::write(&path, bytes).unwrap();
    let (lines, problems) = read(&path).unwrap();
    assert_eq!(steps_of(&lines), [1, 2, 1, 2]);
    assert_eq!(problems.len(), damaged.len());
    assert!(problems[0].starts_with(&format!("line at byte {offset}: not a JSON object")), "{}", problems[0]);
    assert!(problems[1].ends_with(": not UTF-8"));
    assert!(problems[2].ends_with(": has version 2 of the event format; this program reads version 1"));
    assert!(problems[3].ends_with(": unknown event `paused`"));
    assert!(problems[4].contains(": event `step`: invalid value"), "{}", problems[4]);
    assert!(problems[5].ends_with(": has no `attempt`"));
    assert!(problems[6].ends_with(": longer than 1048576 bytes"));
    assert!(problems[7].contains("not a JSON object"));
}

#[test]
fn a_log_of_nothing_but_damage_gives_a_bounded_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    std::fs::write(&path, "x\n".repeat(1000)).unwrap();
    let (_, problems) = read(&path).unwrap();
    assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    assert_eq!(problems[MAX_PROBLEMS], "980 more lines could not be read");
}

#[test]
fn numbers_that_are_not_finite_come_back_as_nan_or_nothing() {
    let summary = Summary {
        seconds: f64::INFINITY,
        test: Some([("score".to_owned(), f64::NAN), ("meteor".to_owned(), 0.5)].into()),
        last: Some(Evaluated { val_loss: Some(f64::NAN), seconds: 1.0, ..Evaluated::default() }),
        ..Summary::default()
    };
    let ended = Event::Ended(Box::new(Ended { status: Status::Diverged, reason: None, summary }));
    let line = Line { at: "t".into(), attempt: 1, event: ended };
    let Event::Ended(ended) = decode(&encode(&line).unwrap()).unwrap().event else { panic!("not an end") };
    assert!(ended.summary.seconds.is_nan());
    let test = ended.summary.test.unwrap();
    assert!(test["score"].is_nan());
    assert_eq!(test["meteor"], 0.5);
    assert_eq!(ended.summary.last.unwrap().val_loss, None);
}

#[test]
fn fields_of_a_later_version_of_an_event_are_ignored() {
    let text = r#"{"v":1,"at":"t","attempt":1,"event":"checkpointed","epoch":1,"step":2,"checkpoint":"best","bytes":7}"#;
    assert_eq!(decode(text).unwrap().event, Event::Checkpointed(checkpointed()));
}

fn any_number() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL
}

prop_compose! {
    fn any_evaluated()(
        epoch in any::<usize>(),
        losses in prop::array::uniform3(prop::option::of(any_number())),
        scores in prop::array::uniform5(prop::option::of(any_number())),
        evidence in prop::array::uniform4(prop::option::of(any_number())),
        seconds in any_number(),
    ) -> Evaluated {
        let [train_loss, val_loss, val_nll] = losses;
        let [meteor, rouge_l, cider_d, bleu_4, score] = scores;
        let [train_nll, ece, confidence, accuracy] = evidence;
        Evaluated {
            epoch, step: epoch, train_loss, val_loss, val_nll, meteor, rouge_l, cider_d, bleu_4, score, compared: score,
            train_nll, ece, confidence, accuracy, seconds
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let started = (any::<String>(), any::<usize>()).prop_map(|(text, number)| {
        Event::Started(Box::new(Started {
            run: text.clone(),
            sweep: text.clone(),
            program: text.clone(),
            device: text.clone(),
            threads: number,
            model_digest: text.clone(),
            data_digest: text.clone(),
            train_examples: number,
            validation_examples: number,
            test_examples: number,
            steps_per_epoch: number,
            total_steps: number,
            trainable: Trainable { text: number, ..Trainable::default() },
            frozen_digest: text,
            resumed_from_epoch: number,
            resumed_from_step: Some(number),
            notes: Vec::new(),
        }))
    });
    let skipped = prop::option::of(any::<usize>());
    let step = (any::<usize>(), prop::array::uniform4(any_number()), skipped).prop_map(
        |(step, numbers, skipped_steps)| {
            let [loss, learning_rate, gradient_norm, images_per_second] = numbers;
            let loss_scale = skipped_steps.map(|_| 0.5);
            Event::Step(Step {
                epoch: 1,
                step,
                loss,
                learning_rate,
                gradient_norm,
                images_per_second,
                loss_scale,
                skipped_steps,
            })
        },
    );
    let checkpointed = (any::<usize>(), any::<String>())
        .prop_map(|(step, checkpoint)| Event::Checkpointed(Checkpointed { epoch: 0, step, checkpoint }));
    let test = prop::collection::btree_map(any::<String>(), any_number(), 0..3);
    let ended =
        (prop::option::of(any::<String>()), prop::option::of(any_evaluated()), prop::option::of(test))
            .prop_map(|(reason, best, test)| {
                let summary = Summary { best, test, ..Summary::default() };
                Event::Ended(Box::new(Ended { status: Status::OutOfMemory, reason, summary }))
            });
    let evaluated = any_evaluated().prop_map(|evaluated| Event::Evaluated(Box::new(evaluated)));
    prop_oneof![started, step, evaluated, checkpointed, ended]
}

proptest! {
    #[test]
    fn every_line_reads_back_as_it_was_written(event in any_event(), at in any::<String>(), attempt in any::<u64>()) {
        let line = Line { at, attempt, event };
        let text = encode(&line).unwrap();
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(decode(&text).unwrap(), line);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = decode(&text);
    }
}
