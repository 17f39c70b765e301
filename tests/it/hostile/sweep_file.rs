//! Sweep files that no sweep can be made of.

use super::{Case, Spoil, case, check};
use crate::workdir::Workdir;

/// A file with these settings, over the built-in study.
fn varied(workdir: &Workdir, parameters: &str) {
    workdir.file("s.yaml", &format!("model: lab\nparameters: {parameters}\n"));
}

/// A sweep file of this text.
fn text(workdir: &Workdir, text: &str) {
    workdir.file("s.yaml", text);
}

const CASES: &[Case] = &[
    case("no such file", "plan s.yaml", |_| {}),
    case("empty", "plan s.yaml", |dir| text(dir, "")),
    case("only white space", "plan s.yaml", |dir| text(dir, " \n\n")),
    case("a byte order mark, which is read over", "plan s.yaml", |dir| {
        text(dir, "\u{feff}model: lab\nparameters: {learning_rate: {value: 1.0e-4}}\n");
    }),
    case("line ends of Windows, which are read over", "plan s.yaml", |dir| {
        text(dir, "model: lab\r\nparameters:\r\n  learning_rate: {value: 1.0e-4}\r\n");
    }),
    case("indented by a tab", "plan s.yaml", |dir| {
        text(dir, "model: lab\nparameters:\n\tlearning_rate: 1\n")
    }),
    case("a key that is there twice", "plan s.yaml", |dir| {
        varied(dir, "\n  learning_rate: {values: [1.0e-4]}\n  learning_rate: {values: [1.0e-3]}");
    }),
    case("aliases that multiply", "plan s.yaml", |dir| {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{items}]\n");
        }
        text(dir, &bomb);
    }),
    case("an alias of itself", "plan s.yaml", |dir| text(dir, "model: lab\nparameters: &a {b: *a}\n")),
    case("ten thousand lists in each other", "plan s.yaml", |dir| {
        text(dir, &format!("model: {}{}", "[".repeat(10_000), "]".repeat(10_000)));
    }),
    case("ten thousand mappings in each other", "plan s.yaml", |dir| {
        text(dir, &format!("{}1{}", "{a: ".repeat(10_000), "}".repeat(10_000)));
    }),
    case("an unknown key", "plan s.yaml", |dir| text(dir, "model: lab\noptimiser: adam\n")),
    case("a misspelt key", "plan s.yaml", |dir| text(dir, "model: lab\nparamters: {}\n")),
    case("a misspelt setting", "plan s.yaml", |dir| varied(dir, "{unfrozen_vison_layers: {values: [1]}}")),
    case("a misspelt model", "plan s.yaml", |dir| text(dir, "model: labb\n")),
    case("a number in quotes", "plan s.yaml", |dir| varied(dir, "{learning_rate: {values: ['1e-5']}}")),
    case("numbers without a point, which count as numbers", "plan s.yaml", |dir| {
        varied(dir, "{learning_rate: {values: [1e-5, 1E-4, .001]}}");
    }),
    case("learning rates that cannot be", "plan s.yaml", |dir| {
        varied(
            dir,
            "{learning_rate: {values: [.nan, .inf, -.inf, -1.0e-5, 0, -0.0, 1e30, 1e400, 0x, true, null]}}",
        );
    }),
    case("more layers than there are", "plan s.yaml", |dir| {
        varied(dir, "{unfrozen_vision_layers: {values: [0, 7]}}");
    }),
    case("layers that are no number of them", "plan s.yaml", |dir| {
        varied(dir, "{unfrozen_vision_layers: {values: [-1, 1.5, 99999999999999999999, all]}}");
    }),
    case("an axis without values", "plan s.yaml", |dir| varied(dir, "{learning_rate: {values: []}}")),
    case("an axis without a list", "plan s.yaml", |dir| varied(dir, "{learning_rate: {values: 1.0e-4}}")),
    case("an axis of lists", "plan s.yaml", |dir| varied(dir, "{learning_rate: {values: [[1.0e-4]]}}")),
    case("a thousand million runs", "plan s.yaml", |dir| {
        let values: Vec<String> = (1..=1000).map(|n| format!("{n}.0e-4")).collect();
        let values = values.join(", ");
        varied(
            dir,
            &format!(
                "{{weight_decay: {{values: [{values}]}}, vision_lr_multiplier: {{values: [{values}]}}, \
                 label_smoothing: {{values: [{}]}}}}",
                (0..1000).map(|n| format!("{n}.0e-4")).collect::<Vec<_>>().join(", ")
            ),
        );
    }),
    case("a million seeds", "plan s.yaml", |dir| text(dir, "model: lab\nseeds: 1000000\n")),
    case("seeds that are none", "plan s.yaml", |dir| text(dir, "model: lab\nseeds: [-1, 0.5, x]\n")),
    case("a name that leads elsewhere", "run s.yaml", |dir| text(dir, "name: ../../evil\nmodel: lab\n")),
    case("a name from the root", "run s.yaml", |dir| text(dir, "name: /tmp/evil\nmodel: lab\n")),
    case("a name that hides", "run s.yaml", |dir| text(dir, "name: .evil\nmodel: lab\n")),
    case("a name of several lines", "run s.yaml", |dir| text(dir, "name: \"a\\nb\"\nmodel: lab\n")),
    case("a name from the command line that leads elsewhere", "run s.yaml name=..", |dir| {
        text(dir, "model: lab\n");
    }),
    case("a name of a thousand letters", "plan s.yaml", |dir| {
        text(dir, &format!("name: {}\nmodel: lab\n", "x".repeat(1000)));
    }),
    case("a path with a zero byte", "plan s.yaml", |dir| {
        text(dir, "model: model\ndata: {train: {captions: \"a\\0b\", images: images}}\n");
    }),
    case("not UTF-8", "plan s.yaml", |dir| dir.bytes("s.yaml", b"model: caf\xe9\n")),
    case("UTF-16", "plan s.yaml", |dir| dir.bytes("s.yaml", b"\xff\xfem\0o\0d\0e\0l\0")),
    case("a zero byte", "plan s.yaml", |dir| dir.bytes("s.yaml", b"model: lab\0\n")),
    case("two documents", "plan s.yaml", |dir| text(dir, "model: lab\n---\nmodel: lab\n")),
    case("a tag", "plan s.yaml", |dir| text(dir, "model: !!python/object/apply:os.system [ls]\n")),
    case("a list", "plan s.yaml", |dir| text(dir, "- model: lab\n")),
    case("cut off", "plan s.yaml", |dir| {
        text(dir, "model: lab\nparameters: {learning_rate: {values: [1.0e-")
    }),
    case("a merge key", "plan s.yaml", |dir| text(dir, "model: lab\n<<: {seeds: [1]}\n")),
    case("a value of a megabyte", "plan s.yaml", |dir| {
        text(dir, &format!("model: {}\n", "x".repeat((1 << 20) - 100)));
    }),
    case("a key of a megabyte", "plan s.yaml", |dir| {
        text(dir, &format!("model: lab\n? {}\n: 1\n", "x".repeat((1 << 20) - 100)));
    }),
    case("a gigabyte", "plan s.yaml", |dir| dir.hollow("s.yaml", 1 << 30)),
    case("a folder", "plan s.yaml", |dir| dir.folder("s.yaml")),
    case("a pipe", "plan s.yaml", |dir| dir.pipe("s.yaml")),
    case("a device without end", "plan /dev/zero", |_| {}),
    case("a link to itself", "plan s.yaml", |dir| dir.link("s.yaml", "s.yaml")),
    case("an override without end", "plan s.yaml learning_rate=[[[[", |dir| text(dir, "model: lab\n")),
];

#[test]
fn a_sweep_file_that_is_wrong_costs_one_message_with_the_place() {
    check("sweep_files", CASES, Workdir::new);
}

#[test]
fn trials_that_are_equal_after_all_are_one_run() {
    let workdir = Workdir::new();
    varied(
        &workdir,
        "{unfrozen_vision_layers: {values: [0]}, learning_rate: {values: [1e-5, 0.00001, 1.0e-05]}}",
    );
    let output = workdir.command("plan s.yaml --format json").output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let trained: Vec<_> =
        plan["runs"].as_array().unwrap().iter().filter(|run| run["kind"] == "fine_tuned").collect();
    assert_eq!(trained.len(), 1, "{plan}");
}
