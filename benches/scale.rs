//! How the program scales where no model is at work: planning, going on with a finished sweep, reporting on it, and what
//! a run costs beyond its training.
//!
//! ```text
//! cargo bench --bench scale                        all of it; 1 GB of disk, some minutes
//! cargo bench --bench scale -- planning overhead   two of planning, resuming, reporting, overhead
//! cargo bench --bench scale -- --runs 1000 reporting
//! ```
//!
//! Whole commands are timed, from the start of the process to its end; where this file is called as a worker, it is one
//! whose training takes no time.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sweep::random::Random;
use sweep::record::event::{Checkpointed, Ended, Evaluated, Event, Line, Started, Status, Step, Summary};
use sweep::record::invocation::Invocation;
use sweep::record::run::{PerImage, Prediction};
use sweep::record::{RunDir, RunSpec, Store, journal};
use sweep::run::policy::Policy;
use sweep::run::progress::{Progress, Sweep};
use sweep::run::share::Wish;
use sweep::run::{Options, execute, worker};
use sweep::{plan, spec};

const SWEEP: &str = env!("CARGO_BIN_EXE_sweep");
/// Called so, this program is a sweep whose runs have nothing to train.
const NO_TRAINING: &str = "no-training";
/// Of each command so many runs are timed.
const REPEATS: usize = 5;
const EPOCHS: usize = 100;
/// Validation images of the made-up runs; each has a row an epoch.
const IMAGES: usize = 4;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "worker") {
        return as_worker(&words);
    }
    if let [word, home, runs] = words.as_slice()
        && word == NO_TRAINING
    {
        println!("{}", dispatched(Path::new(home), runs.parse().expect("a number")).as_secs_f64());
        return ExitCode::SUCCESS;
    }
    let runs =
        words.iter().position(|word| word == "--runs").map(|at| words[at + 1].parse().expect("a number"));
    let runs = runs.unwrap_or(10_000);
    let wants = |name: &str| {
        let names = ["planning", "resuming", "reporting", "overhead"];
        words.iter().all(|word| !names.contains(&word.as_str())) || words.iter().any(|word| word == name)
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!("{:<62} {:>10} {:>10} {:>10} {:>9}", "", "median", "lowest", "CPU", "aim");
    if wants("planning") {
        planning(folder.path());
    }
    if wants("resuming") || wants("reporting") {
        let (file, written) = (folder.path().join("scale.yaml"), Instant::now());
        write_finished(folder.path(), &file, runs);
        eprintln!("(wrote {runs} runs in {:.1} s)", written.elapsed().as_secs_f64());
        if wants("resuming") {
            let command = || sweep(folder.path(), &["run", "scale.yaml", "--device", "cpu"]);
            row(&format!("sweep run: {runs} finished runs, nothing to do"), "1 s", command);
            let command = || sweep(folder.path(), &["status", "runs"]);
            row(&format!("sweep status: {runs} finished runs"), "1.5 s", command);
        }
        if wants("reporting") {
            let command = || sweep(folder.path(), &["report", "runs"]);
            row(&format!("sweep report: {runs} runs of {EPOCHS} epochs"), "10 s", command);
            let page = fs::metadata(folder.path().join("reports/scale/index.html")).expect("a page").len();
            println!("{:<62} {:>7.2} MB {:>31}", "  its page", page as f64 / 1e6, "5 MB");
        }
    }
    if wants("overhead") {
        overhead(folder.path());
    }
    ExitCode::SUCCESS
}

/// Prints what a command took, in the median and at least, and the processor's time of it.
fn row(what: &str, aim: &str, command: impl Fn() -> Command) {
    let mut times: Vec<(Duration, Duration)> = (0..REPEATS)
        .map(|_| {
            let (began, before) = (Instant::now(), children_time());
            let output = command().stdout(Stdio::null()).stderr(Stdio::piped()).output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            (began.elapsed(), children_time().saturating_sub(before))
        })
        .collect();
    times.sort_unstable();
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (median, cpu) = times[REPEATS / 2];
    println!("{what:<62} {:>10} {:>10} {:>10} {aim:>9}", seconds(median), seconds(times[0].0), seconds(cpu));
}

/// Processor time of all children that have ended; nothing where the system does not tell.
fn children_time() -> Duration {
    /// Fixed in what Linux shows to programs.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn sweep(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(SWEEP);
    command.args(words).current_dir(folder);
    command
}

/// Plans of as many combinations as there may be, with seeds and without.
fn planning(folder: &Path) {
    let ten = |first: f64| (1..=10).map(|n| format!("{:e}", first * n as f64)).collect::<Vec<_>>().join(", ");
    let axes = format!(
        "name: big\nmodel: lab\nreferences: {NO_REFERENCES}\nparameters:\n  learning_rate: [{}]\n  weight_decay: [{}]\n  \
         text_lr_multiplier: [{}]\n  unfrozen_vision_layers: [1, 2, 3, 4]\n  patience: [1, 2, 3, 4, 5]\n  epochs: [5, 10, 15, 20, 25]\n",
        ten(1e-6),
        ten(1e-2),
        ten(0.1),
    );
    for (what, axes) in [
        ("of one seed", axes.clone()),
        (
            "of five seeds",
            axes.replace("  epochs: [5, 10, 15, 20, 25]\n", "")
                .replace("[1, 2, 3, 4, 5]", "[1, 2, 3, 4, 5]\nseeds: [0, 1, 2, 3, 4]"),
        ),
    ] {
        fs::write(folder.join("big.yaml"), axes).expect("a file");
        row(&format!("sweep plan: 100,000 combinations {what}"), "1 s", || {
            sweep(folder, &["plan", "big.yaml"])
        });
    }
}

const NO_REFERENCES: &str =
    "{zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}";

/// A sweep of so many runs.
fn sweep_of(runs: usize) -> String {
    let rates: Vec<String> = (1..=runs.div_ceil(10)).map(|n| format!("{:e}", 1e-6 * n as f64)).collect();
    format!(
        "name: scale\nmodel: lab\nreferences: {NO_REFERENCES}\nseeds: [0, 1, 2, 3, 4]\nparameters:\n  learning_rate: [{}]\n  \
         unfrozen_vision_layers: [1, 3]\ntraining: {{epochs: {EPOCHS}}}\n",
        rates.join(", ")
    )
}

/// A finished sweep with the logs that real runs would have written.
fn write_finished(folder: &Path, file: &Path, runs: usize) {
    fs::write(file, sweep_of(runs)).expect("a file");
    let planned = plan::expand(&spec::load(file, &[]).expect("a sweep")).expect("a plan").runs;
    let sweep = Store::new(&folder.join("runs")).sweep("scale");
    sweep.write_plan(&planned).expect("a plan");
    for spec in &planned {
        let run = sweep.run(&spec.id);
        fs::create_dir_all(&run.path).expect("a folder");
        fs::write(run.config(), serde_yaml(spec)).expect("a file");
        fs::write(run.events(), log_of(spec)).expect("a file");
        fs::write(run.per_image(), rows_of(spec)).expect("a file");
        fs::write(run.predictions(), captions_of(spec)).expect("a file");
    }
    // The next `sweep run` finds the audit made, as after a real one.
    let _ = Command::new(SWEEP).args(["run", "scale.yaml", "--device", "cpu"]).current_dir(folder).output();
}

/// JSON is YAML.
fn serde_yaml(spec: &RunSpec) -> String {
    serde_json::to_string(spec).expect("settings")
}

fn log_of(spec: &RunSpec) -> String {
    let mut text = String::new();
    let mut add = |event| {
        let at = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH).to_string();
        let _ = writeln!(text, "{}", journal::encode(&Line { at, attempt: 1, event }).expect("a line"));
    };
    add(Event::Started(Box::new(started(spec))));
    let curve: Vec<Evaluated> = (0..=EPOCHS).map(|epoch| evaluated(spec, epoch)).collect();
    for evaluated in &curve {
        let epoch = evaluated.epoch;
        if epoch > 0 {
            let loss = evaluated.train_loss.unwrap_or_default();
            let step = Step {
                epoch,
                step: 10 * epoch,
                loss,
                learning_rate: 1e-5,
                gradient_norm: 1.0,
                images_per_second: 99.0,
                ..Step::default()
            };
            add(Event::Step(step));
        }
        add(Event::Evaluated(Box::new(evaluated.clone())));
    }
    let best = curve[1..].iter().max_by(|a, b| a.score.partial_cmp(&b.score).expect("numbers")).cloned();
    add(Event::Ended(Box::new(ended(&curve, best))));
    text
}

fn started(spec: &RunSpec) -> Started {
    Started {
        run: spec.id.clone(),
        sweep: spec.sweep.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        device: "cpu".to_owned(),
        threads: 1,
        model_digest: "0".repeat(64),
        data_digest: "1".repeat(64),
        train_examples: 60,
        validation_examples: IMAGES,
        test_examples: IMAGES,
        steps_per_epoch: 10,
        total_steps: 10 * EPOCHS,
        trainable: sweep::record::event::Trainable::default(),
        frozen_digest: "2".repeat(64),
        resumed_from_epoch: 0,
        resumed_from_step: Some(0),
        notes: Vec::new(),
    }
}

/// A curve that rises and, late, falls; higher or lower by settings and seed.
fn evaluated(spec: &RunSpec, epoch: usize) -> Evaluated {
    let rate = spec.recipe.training.learning_rate * 1e3;
    let noise = 0.01 * Random::new(spec.seed, "noise", &[epoch as u64, (1e9 * rate) as u64]).normal();
    let time = epoch as f64 / EPOCHS as f64;
    let loss = 3.0 * (-4.0 * time).exp() + 0.4 * time + 0.1 * rate + noise;
    let score = 0.5 * (1.0 - (-5.0 * time).exp()) - 0.1 * time * rate.min(1.0) + noise;
    Evaluated {
        epoch,
        step: 10 * epoch,
        train_loss: (epoch > 0).then_some(loss - 0.2 * time),
        val_loss: Some(loss),
        val_nll: Some(loss),
        train_nll: Some(loss - 0.2 * time),
        meteor: Some(0.6 * score.abs()),
        rouge_l: Some(0.8 * score.abs()),
        cider_d: Some(2.0 * score.abs()),
        bleu_4: Some(0.3 * score.abs()),
        score: Some(score),
        ece: Some(0.05),
        confidence: Some((-loss).exp()),
        accuracy: Some((-loss).exp()),
        seconds: 1.5,
        ..Evaluated::default()
    }
}

fn ended(curve: &[Evaluated], best: Option<Evaluated>) -> Ended {
    let score = best.as_ref().and_then(|best| best.score).unwrap_or_default();
    let names = ["meteor", "rouge_l", "cider_d", "bleu_1", "bleu_2", "bleu_3", "bleu_4", "score"];
    let summary = Summary {
        epochs: curve.len() - 1,
        steps: 10 * EPOCHS,
        seconds: 150.0,
        initial: curve.first().cloned(),
        test: Some(names.map(|name| (name.to_owned(), score)).into()),
        best,
        last: curve.last().cloned(),
        frozen_digest: Some("2".repeat(64)),
        peak_memory_bytes: Some(1 << 28),
        images_encoded: 68,
        ..Summary::default()
    };
    Ended { status: Status::Finished, reason: None, summary }
}

/// The rows of every epoch's validation images, and of the test images.
fn rows_of(spec: &RunSpec) -> String {
    let mut text = String::new();
    for epoch in 0..=EPOCHS {
        let evaluated = evaluated(spec, epoch);
        let splits: &[&str] = if epoch == EPOCHS { &["validation", "test"] } else { &["validation"] };
        for split in splits {
            for image in 0..IMAGES {
                let row = PerImage {
                    epoch,
                    image: format!("{split}_{image}.png"),
                    split: (*split).to_owned(),
                    loss: evaluated.val_loss,
                    meteor: evaluated.meteor,
                    rouge_l: evaluated.rouge_l,
                    cider_d: evaluated.cider_d,
                };
                let _ = writeln!(text, "{}", serde_json::to_string(&row).expect("a row"));
            }
        }
    }
    text
}

fn captions_of(spec: &RunSpec) -> String {
    let mut text = String::new();
    for split in ["validation", "test"] {
        for image in 0..IMAGES {
            let caption =
                format!("The upper clothing has long sleeves, cotton fabric and {} patterns.", spec.seed);
            let row = Prediction {
                image: format!("{split}_{image}.png"),
                split: split.to_owned(),
                references: vec![caption.replace("long", "short")],
                caption,
                token_ids: (0..30).collect(),
                score: Some(-0.5),
            };
            let _ = writeln!(text, "{}", serde_json::to_string(&row).expect("a row"));
        }
    }
    text
}

/// What a run takes beyond its training: sweeps whose workers have nothing to train, one twice as long as the other, so
/// that what a sweep costs once falls out.
fn overhead(folder: &Path) {
    let mut costs: Vec<f64> = (0..REPEATS)
        .map(|round| {
            let times = [100, 300].map(|runs| {
                let home = folder.join(format!("overhead-{round}-{runs}"));
                fs::create_dir_all(&home).expect("a folder");
                // A process has one sweep at work.
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                let output =
                    command.arg(NO_TRAINING).arg(home).arg(runs.to_string()).output().expect("it starts");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("seconds")
            });
            (times[1] - times[0]) / 200.0
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    let milliseconds = |cost: f64| format!("{:.1} ms", 1e3 * cost);
    println!(
        "{:<62} {:>10} {:>10} {:>10} {:>9}",
        "a run beyond its training: process, log, record",
        milliseconds(costs[REPEATS / 2]),
        milliseconds(costs[0]),
        "",
        "10 ms"
    );
}

/// How long a sweep of so many runs takes, one at a time.
fn dispatched(home: &Path, runs: usize) -> Duration {
    let file = home.join("scale.yaml");
    fs::write(&file, sweep_of(runs)).expect("a file");
    let planned = plan::expand(&spec::load(&file, &[]).expect("a sweep")).expect("a plan").runs;
    let options = Options {
        runs: home.join("runs"),
        wish: Wish { jobs: Some(1), threads: Some(1) },
        device: "cpu".to_owned(),
        devices: Vec::new(),
        preflight: false,
        policy: Policy::default(),
        contest: None,
        search: None,
        checkpoint_every: Duration::from_secs(60),
        cache: None,
        elsewhere: Default::default(),
        invocation: Invocation::now("a benchmark".to_owned(), "cpu".to_owned(), b""),
    };
    let began = Instant::now();
    let outcome = execute("scale", &planned, &options, &mut Silence, &mut |_, _, _| ()).expect("it runs");
    let took = began.elapsed();
    assert!(outcome.failures.is_empty() && outcome.unfinished() == 0, "{:?}", outcome.failures.first());
    took
}

struct Silence;

impl Progress for Silence {
    fn planned(&mut self, _: &Sweep) {}
    fn started(&mut self, _: usize, _: &sweep::run::launcher::Task) {}
    fn said(&mut self, _: usize, _: &sweep::run::launcher::Task, _: &Event) {}
    fn ended(&mut self, _: usize, _: &sweep::run::launcher::Task, _: &Ended) {}
    fn cut_off(&mut self, _: usize, _: &sweep::run::launcher::Task, _: &str) {}
    fn downloading(&mut self, _: &sweep::hub::Download) {}
    fn note(&mut self, _: &str) {}
}

/// Does what a worker does, but for the training: it begins, is evaluated, saved and has ended.
fn as_worker(words: &[String]) -> ExitCode {
    let word = |flag: &str| words.iter().position(|word| word == flag).map(|at| words[at + 1].clone());
    let order = worker::Order {
        run: RunDir { path: PathBuf::from(word("--run").expect("a run")) },
        runs: PathBuf::from(word("--runs").expect("a folder")),
        device: "cpu".to_owned(),
        threads: 1,
        checkpoint_every: Duration::from_secs(60),
        until_epoch: None,
        cache: None,
        supervised: words.iter().any(|word| word == "--supervised"),
    };
    let code = worker::work_as(&order, |spec, _, emit| {
        emit(Event::Started(Box::new(started(spec))))?;
        let evaluated = evaluated(spec, 1);
        emit(Event::Evaluated(Box::new(evaluated.clone())))?;
        emit(Event::Checkpointed(Checkpointed { epoch: 1, step: 10, checkpoint: "last".to_owned() }))?;
        Ok(ended(&[evaluated.clone(), evaluated.clone()], Some(evaluated)))
    });
    ExitCode::from(u8::try_from(code.expect("it works")).unwrap_or(1))
}
