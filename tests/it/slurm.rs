//! A real Slurm on the loopback (`tests/slurm/cluster.sh`): a sweep as a job array comes to the tables of a local one, however its
//! tasks are killed and its nodes lost.
//!
//! Where Slurm is not installed, or not for this user, the tests say that they were skipped; `SWEEP_SLURM=required` makes that
//! a failure. `SWEEP_SLURM_ACCOUNTS=required` does the same for those that need accounts.

mod accounts;
mod sharing;
mod time;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::end_to_end::{self, json_lines};
use crate::stopping::{events, last_event};
use crate::toy::{self, difference, records, tables};
use crate::workdir::Workdir;

/// A cluster of its own, and the right to have one: two at once would wait for each other's cores.
struct Cluster {
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

/// A scheduler takes its time, and so does a machine with other work to do.
const AT_LAST: Duration = Duration::from_secs(400);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + AT_LAST;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        // Each look is a question to the scheduler.
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_event(run: &Path, event: &str) {
    wait_until(event, || events(run).iter().any(|line| line["event"] == event));
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/cluster.sh")
}

impl Cluster {
    /// Two nodes, whose arrays have fewer than so many tasks; `None` where there is no Slurm.
    fn start(max_array: usize) -> Option<Self> {
        Self::start_with(max_array, "SWEEP_SLURM", &[])
    }

    /// The same with accounts, and limits that they enforce.
    fn start_with_accounts(max_array: usize) -> Option<Self> {
        Self::start_with(max_array, "SWEEP_SLURM_ACCOUNTS", &[("SWEEP_SLURM_ACCOUNTS", "1")])
    }

    /// `demand` is the variable that makes it a failure that there is none.
    fn start_with(max_array: usize, demand: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(script());
        command.arg("start").arg(folder.path()).env("SWEEP_SLURM_MAX_ARRAY", max_array.to_string());
        // Jobs that have ended are forgotten soon: what they came to is in the files.
        command.env("SWEEP_SLURM_MIN_JOB_AGE", "5");
        command.env_remove("SWEEP_SLURM_ACCOUNTS").envs(variables.iter().copied());
        let log = folder.path().join("start.log");
        let output = fs::File::create(&log).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        // Its daemons hold what they are given open: a pipe would never close.
        let is_up = command.status().unwrap().success();
        if is_up {
            return Some(Self { folder, _turn: turn });
        }
        let why = fs::read_to_string(log).unwrap_or_default();
        let is_required = std::env::var(demand).is_ok_and(|wish| wish == "required");
        assert!(!is_required, "no Slurm: {why}");
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(io::stderr(), "skipped: no Slurm here ({})", why.lines().next().unwrap_or_default());
        None
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("slurm.conf")
    }

    /// A command of Slurm's, with arguments separated by spaces.
    fn slurm(&self, words: &str) -> String {
        let mut words = words.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).env("SLURM_CONF", self.configuration()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a user of the cluster sees.
    fn sweep(&self, workdir: &Workdir, arguments: &str) -> String {
        let mut command = workdir.command(arguments);
        workdir.shown(&command.env("SLURM_CONF", self.configuration()).output().unwrap())
    }

    fn status(&self, workdir: &Workdir) -> Vec<Value> {
        let shown = self.sweep(workdir, "status --format json");
        let text = &shown[shown.find('[').unwrap_or_else(|| panic!("{shown}"))..];
        let sweeps: Value = serde_json::Deserializer::from_str(text).into_iter().next().unwrap().unwrap();
        sweeps[0]["runs"].as_array().unwrap().clone()
    }

    /// The node that a task is on.
    fn node_of(&self, task: &str) -> String {
        let node = self.slurm(&format!("squeue --noheader --array --format=%N --jobs={task}"));
        node.trim().to_owned()
    }

    fn is_idle(&self) -> bool {
        self.slurm("squeue --noheader").trim().is_empty()
    }

    fn wait_until_idle(&self) {
        wait_until("the end of all jobs", || self.is_idle());
    }

    /// What tasks and Slurm said, for who reads why a test failed.
    fn logs(&self, sweep: &Path) -> String {
        let files =
            fs::read_dir(sweep.join("slurm")).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| format!("{}:\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default()))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ =
            Command::new("scancel").args(["--user=root"]).env("SLURM_CONF", self.configuration()).status();
        let _ = Command::new(script()).arg("stop").arg(self.folder.path()).status();
    }
}

fn submissions(sweep: &Path) -> Vec<Value> {
    json_lines(&sweep.join("slurm/submissions.jsonl"))
}

#[test]
fn a_sweep_as_job_arrays_comes_to_the_tables_of_a_local_one() {
    let Some(cluster) = Cluster::start(3) else { return };
    let workdir = toy::prepared();
    assert!(workdir.sweep(&toy::command(2).replace("--runs runs", "--runs local")).starts_with("exit 0\n"));
    let shown = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    assert!(shown.starts_with("exit 0\n") && shown.contains("5 runs in 5 tasks, jobs "), "{shown}");
    let sweep = workdir.path().join("runs/toy");
    let lines = submissions(&sweep);
    // Five runs, arrays of at most three tasks, and the report.
    let arrays: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line["array"], line["offset"])).collect();
    assert_eq!(arrays, ["\"0-2\" 0", "\"0,1\" 3", "null 0"]);
    for (line, number) in lines.iter().zip(1..) {
        assert!(sweep.join("slurm").join(line["script"].as_str().unwrap()).is_file());
        let said = fs::read_to_string(sweep.join(format!("slurm/000{number}.sbatch.txt"))).unwrap();
        assert!(said.contains(line["job"].as_str().unwrap()), "{said}");
    }
    // What is in the queue is not handed over twice, also under another plan's name for it.
    let again = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    assert!(
        again.contains("nothing to submit") || again.contains("in the queue or at work already"),
        "{again}"
    );
    cluster.wait_until_idle();
    let logs = cluster.logs(&sweep);
    let runs = records(&workdir.path().join("runs"), "toy");
    assert!(
        runs.iter().all(|run| run.attempts == 1 && run.status.is_some_and(|end| end.is_complete())),
        "{logs}"
    );
    let [local, there] = ["local", "runs"].map(|runs| tables(&workdir.path().join(runs), "toy"));
    assert_eq!(difference(&there, &local), "");
    assert!(workdir.path().join("reports/toy/index.html").is_file(), "{logs}");
    assert!(cluster.status(&workdir).iter().all(|run| run["state"] == "done" && run["scheduler"].is_null()));
    let nothing = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    assert!(nothing.contains("nothing to submit"), "{nothing}");
}

/// Two runs long enough to be disturbed.
const TWO_RUNS: &str = "small.yaml unfrozen_vision_layers=1 vision_lr_multiplier=1.0 seeds=0,1 epochs=8 patience=0 \
    references.zero_shot=false references.constant_caption=false references.nearest_image=false references.matched_length=false \
    simple_models=false";

#[test]
fn tasks_that_are_killed_and_tasks_whose_node_is_lost_resume_to_the_bit() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = end_to_end::prepared();
    let local = workdir.sweep(&format!("run {TWO_RUNS} --runs local --threads 1 --jobs 2 --no-preflight"));
    assert!(local.starts_with("exit 0\n"), "{local}");
    let submit = format!("submit {TWO_RUNS} --to slurm --no-report");
    let shown = cluster.sweep(&workdir, &submit);
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let job = |place: usize| submissions(&sweep)[place]["job"].as_str().unwrap().to_owned();
    let plan = json_lines(&sweep.join("plan.jsonl"));
    let run = |position: usize| sweep.join(plan[position]["id"].as_str().unwrap());
    let first = job(0);
    for position in [0, 1] {
        wait_for_event(&run(position), "evaluated");
    }

    // One is killed, which Slurm takes for the end of the job; the node of the other goes down, which it does not.
    let node = cluster.node_of(&format!("{first}_1"));
    cluster.slurm(&format!("scancel --signal=KILL {first}_0"));
    wait_until("the end of the killed task", || {
        !cluster
            .slurm("squeue --noheader --array --format=%i --states=running,completing")
            .contains(&format!("{first}_0"))
    });
    cluster.slurm(&format!("scontrol update nodename={node} state=down reason=test"));
    wait_until("the task is back in the queue", || {
        cluster.slurm("squeue --noheader --array --format=%K|%T").contains("1|PENDING")
    });
    let states = cluster.status(&workdir);
    assert_eq!(states[0]["state"], "interrupted", "{}", states[0]);
    assert!(["queued", "running"].contains(&states[1]["state"].as_str().unwrap()), "{}", states[1]);
    cluster.slurm(&format!("scontrol update nodename={node} state=resume"));

    // Only what was killed is missing and in no queue.
    let again = cluster.sweep(&workdir, &submit);
    assert!(again.contains("1 run is in the queue or at work already"), "{again}");
    assert_eq!(submissions(&sweep)[1]["array"], "0");
    cluster.wait_until_idle();
    finished_to_the_bit(&cluster, &workdir);
    let attempts = |position: usize| last_event(&run(position))["attempt"].as_u64();
    assert!(attempts(0) > Some(1) && attempts(1) > Some(1), "nothing was resumed\n{}", cluster.logs(&sweep));
}

#[test]
fn a_task_that_is_out_of_time_goes_back_into_the_queue_and_one_whose_worker_is_killed_is_missing() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = end_to_end::prepared();
    let local = workdir.sweep(&format!("run {TWO_RUNS} --runs local --threads 1 --jobs 2 --no-preflight"));
    assert!(local.starts_with("exit 0\n"), "{local}");
    let submit = format!("submit {TWO_RUNS} --to slurm --no-report --timeout-min 30");
    assert!(cluster.sweep(&workdir, &submit).starts_with("exit 0\n"));
    let sweep = workdir.path().join("runs/small");
    let plan = json_lines(&sweep.join("plan.jsonl"));
    let run = |position: usize| sweep.join(plan[position]["id"].as_str().unwrap());
    let job = submissions(&sweep)[0]["job"].as_str().unwrap().to_owned();
    for position in [0, 1] {
        wait_for_event(&run(position), "evaluated");
    }
    // What `--signal=B:USR2@...` sends before the end of the time.
    cluster.slurm(&format!("scancel --batch --signal=USR2 {job}_0"));
    cluster.slurm(&format!("scancel --batch --signal=KILL {job}_1"));
    wait_until("the run goes on", || events(&run(0)).iter().any(|line| line["attempt"] == 2));
    wait_until("the other's end", || last_event(&run(1))["event"] == "ended");
    let logs = cluster.logs(&sweep);
    assert!(logs.contains(&format!("out of time: task {job}_0 goes back into the queue")), "{logs}");
    wait_until("Slurm sees the killed one", || {
        !cluster.slurm("squeue --noheader --array --format=%K|").contains("1|")
    });
    let again = cluster.sweep(&workdir, &submit);
    assert!(again.starts_with("exit 0\n"), "{again}");
    assert_eq!(submissions(&sweep)[1]["array"], "1");
    cluster.wait_until_idle();
    finished_to_the_bit(&cluster, &workdir);
}

/// Both runs have the results of an undisturbed local sweep.
fn finished_to_the_bit(cluster: &Cluster, workdir: &Workdir) {
    let sweep = workdir.path().join("runs/small");
    let done = records(&workdir.path().join("runs"), "small");
    let is_done = |run: &sweep::record::RunRecord| run.status.is_some_and(|end| end.is_complete());
    assert!(done.iter().all(is_done), "{}\n{}", cluster.sweep(workdir, "status"), cluster.logs(&sweep));
    let [local, there] = ["local", "runs"].map(|runs| tables(&workdir.path().join(runs), "small"));
    assert_eq!(difference(&there, &local), "", "{}", cluster.logs(&sweep));
}

#[test]
fn what_is_cancelled_leaves_the_queue_and_another_plan_is_not_mixed_up_with_it() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = toy::prepared();
    // Nobody may start: tasks wait.
    cluster.slurm("scontrol update nodename=node[1-2] state=drain reason=test");
    let shown = cluster.sweep(&workdir, "submit toy.yaml --to slurm --runs-per-task 2");
    assert!(shown.contains("5 runs in 3 tasks, job "), "{shown}");
    let states = cluster.status(&workdir);
    assert!(states.iter().all(|run| run["state"] == "queued"), "{states:?}");
    let job = submissions(&workdir.path().join("runs/toy"))[0]["job"].as_str().unwrap().to_owned();
    // The third and fourth run are the second task's.
    assert_eq!(states[3]["scheduler"]["task"], format!("{job}_1"));
    let table = cluster.sweep(&workdir, "status");
    assert!(table.contains("5 runs: 5 queued") && table.contains(&format!("{job}_1")), "{table}");
    let other = cluster.sweep(&workdir, "submit toy.yaml --to slurm seeds=0,1");
    assert!(
        other.starts_with("exit 2\n")
            && other.contains("jobs of an earlier plan of this sweep are in the queue"),
        "{other}"
    );
    // Nor is it run here, where the tasks would have nothing to do any more.
    let other = cluster.sweep(&workdir, "run toy.yaml seeds=0,1");
    assert!(other.starts_with("exit 2\n") && other.contains("jobs of an earlier plan"), "{other}");
    let cancelled = cluster.sweep(&workdir, "cancel runs/toy");
    assert!(cancelled.contains(&format!("runs/toy: cancelled: {job}, ")), "{cancelled}");
    cluster.wait_until_idle();
    assert!(cluster.status(&workdir).iter().all(|run| run["state"] == "waiting"));
    assert!(cluster.sweep(&workdir, "cancel runs").contains("nothing is in a queue"));

    cluster.slurm("scontrol update nodename=node[1-2] state=resume");
    let shown = cluster.sweep(&workdir, "submit toy.yaml --to slurm --runs-per-task 2 --no-report");
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    cluster.wait_until_idle();
    let runs = records(&workdir.path().join("runs"), "toy");
    assert!(
        runs.iter().all(|run| run.status.is_some_and(|end| end.is_complete())),
        "{}",
        cluster.sweep(&workdir, "status")
    );
}

#[test]
fn who_runs_a_sweep_whose_tasks_are_in_the_queue_is_told_and_both_work_side_by_side() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = end_to_end::prepared();
    let run = format!("run {TWO_RUNS} --threads 1 --jobs 2 --no-preflight");
    let local = workdir.sweep(&format!("{run} --runs local"));
    assert!(local.starts_with("exit 0\n"), "{local}");
    let shown =
        cluster.sweep(&workdir, &format!("submit {TWO_RUNS} --to slurm --no-report --array-parallelism 1"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let plan = json_lines(&sweep.join("plan.jsonl"));
    let first = sweep.join(plan[0]["id"].as_str().unwrap());
    let job = submissions(&sweep)[0]["job"].as_str().unwrap().to_owned();
    wait_for_event(&first, "evaluated");
    // The first is a task's, and left to it; the second waits for its turn, and is done here.
    let shown = cluster.sweep(&workdir, &run);
    let note = format!(
        "note: tasks of this sweep are in Slurm's queue (job {job}), waiting for their turn with 1 run, and at work on 1 run, \
         left to them: both work side by side"
    );
    assert!(shown.contains(&note), "{shown}");
    assert!(shown.contains("hint: `sweep cancel runs/small` takes them out"), "{shown}");
    assert!(!shown.contains("still works on it"), "{shown}");
    let was_first_done = last_event(&first)["event"] == "ended";
    assert!(shown.starts_with(if was_first_done { "exit 0\n" } else { "exit 130\n" }), "{shown}");
    let unfinished = "some runs are unfinished: 1 of 2 runs are done, 1 at work elsewhere\n";
    assert!(was_first_done || shown.contains(unfinished), "{shown}");
    cluster.wait_until_idle();
    finished_to_the_bit(&cluster, &workdir);
    assert!(records(&workdir.path().join("runs"), "small").iter().all(|run| run.attempts == 1));
    let quiet = cluster.sweep(&workdir, &run);
    assert!(quiet.starts_with("exit 0\n") && !quiet.contains("note: tasks"), "{quiet}");
}

/// `sbatch` as it is, and the end of whoever called it before the answer can be written down.
const KILLS: &str = "#!/bin/sh\n/usr/bin/env PATH=\"$REAL_PATH\" sbatch \"$@\"\nkill -9 $PPID\n";

#[test]
fn a_job_that_slurm_took_when_submitting_was_killed_is_found_by_its_name() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = toy::prepared();
    cluster.slurm("scontrol update nodename=node[1-2] state=drain reason=test");
    workdir.file("programs/sbatch", KILLS);
    let program = workdir.path().join("programs/sbatch");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = workdir.command("submit toy.yaml --to slurm --no-report");
    command.env("SLURM_CONF", cluster.configuration()).env("REAL_PATH", &path);
    command.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
    assert_eq!(command.output().unwrap().status.code(), None, "it was killed");
    let sweep = workdir.path().join("runs/toy");
    assert!(!sweep.join("slurm/submissions.jsonl").exists());
    let job = cluster.slurm("squeue --noheader --format=%F").trim().to_owned();
    let states = cluster.status(&workdir);
    assert!(states.iter().all(|run| run["state"] == "queued"), "{states:?}");
    assert_eq!(states[3]["scheduler"]["task"], format!("{job}_3"));
    let again = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    assert!(again.contains("5 runs are in the queue or at work already"), "{again}");
    assert!(again.contains("nothing to submit"), "{again}");
    let cancelled = cluster.sweep(&workdir, "cancel runs/toy");
    assert!(cancelled.contains(&format!("runs/toy: cancelled: {job}")), "{cancelled}");
    cluster.wait_until_idle();
    assert!(cluster.status(&workdir).iter().all(|run| run["state"] == "waiting"));
}
