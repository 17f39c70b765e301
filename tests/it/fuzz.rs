//! A short run of the fuzzer in `examples/fuzz`: hostile inputs for everything that reads files of strangers.

use std::panic::{AssertUnwindSafe, catch_unwind};

#[path = "../../examples/fuzz/formats/mod.rs"]
mod formats;

use formats::{Format, Reached};

const SEED: u64 = 20_260;
const INPUTS: u64 = 3_000;

/// Feeds inputs of a format; most have to get past the header, and none may panic.
fn fuzz(name: &str) {
    let format = Format::named(name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut past_header = 0;
    for index in 0..INPUTS {
        let input = format.input(SEED, index);
        input.write(folder.path());
        let reached = catch_unwind(AssertUnwindSafe(|| (format.feed)(folder.path(), &input)));
        let reached = reached.unwrap_or_else(|_| {
            panic!("cargo run --release --example fuzz -- --format {name} --seed {SEED} --index {index}")
        });
        input.remove(folder.path());
        past_header += u64::from(reached > Reached::Header);
    }
    assert!(2 * past_header > INPUTS, "{name}: only {past_header} of {INPUTS} got past the header");
}

macro_rules! fuzzed {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { fuzz($name); })*

        #[test]
        fn every_format_has_a_short_run() {
            let run = [$($name),*];
            assert!(formats::FORMATS.iter().all(|format| run.contains(&format.name)));
            assert_eq!(formats::FORMATS.iter().map(|format| format.percent).sum::<u64>(), 100);
        }
    };
}

fuzzed! {
    no_sweep_file_makes_the_program_panic: "yaml",
    no_captions_make_the_program_panic: "captions",
    no_image_makes_the_program_panic: "images",
    no_safetensors_make_the_program_panic: "safetensors",
    no_pickle_makes_the_program_panic: "pickle",
    no_tokenizer_makes_the_program_panic: "tokenizer",
    no_event_log_makes_the_program_panic: "events",
    no_file_of_the_store_makes_the_program_panic: "store",
    no_configuration_makes_the_program_panic: "configs",
}
