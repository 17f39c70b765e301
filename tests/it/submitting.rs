//! What is handed to clusters, and what a task of theirs does, where there is no cluster: scripts are shown, tasks started by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use sweep::record::Store;
use sweep::record::submissions::{Submission, plan_digest};

use crate::end_to_end::{self, json_lines};
use crate::stopping::{ONE_RUN, events, last_event, signal, wait_until};
use crate::toy::{self, difference, records, tables};
use crate::workdir::Workdir;

/// Where no program of a cluster is found.
fn alone(workdir: &Workdir, arguments: &str) -> String {
    workdir.shown(&workdir.command(arguments).env("PATH", "/nowhere").output().unwrap())
}

fn ids(workdir: &Workdir, file: &str) -> Vec<String> {
    let output = workdir.command(&format!("plan {file} --format json")).output().unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    plan["runs"].as_array().unwrap().iter().map(|run| run["id"].to_string()).collect()
}

#[test]
fn a_dry_run_shows_the_script_and_writes_nothing() {
    let workdir = toy::prepared();
    let shown = alone(
        &workdir,
        "submit toy.yaml --to slurm --dry-run --partition gpu --timeout-min 90 --runs-per-task 2 --no-report",
    );
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    assert!(
        shown.contains("#SBATCH --array=0-2\n") && shown.contains("#SBATCH --partition=gpu\n"),
        "{shown}"
    );
    assert!(shown.contains("worker --plan [DIR]/runs/toy/plan.jsonl --plan-digest "), "{shown}");
    assert!(
        shown.contains("note: arrays of 1001 tasks at most are assumed: there is no `scontrol` here"),
        "{shown}"
    );
    assert!(!workdir.path().join("runs").exists());
}

#[test]
fn where_there_is_no_cluster_that_is_said() {
    let workdir = toy::prepared();
    insta::assert_snapshot!(alone(&workdir, "submit toy.yaml --to slurm"), @"
    exit 2
    --- stderr
    error: there is no `scontrol` here
    hint: this is for the cluster's login node
    ");
    insta::assert_snapshot!(alone(&workdir, "submit toy.yaml --to kubernetes --image x"), @"
    exit 2
    --- stderr
    error: Kubernetes needs `volume_claim`, which nothing says
    hint: `launcher: {volume_claim: ...}` in the sweep file, or `--volume-claim`
    ");
    assert!(!workdir.path().join("runs/toy/plan.jsonl").exists());
    insta::assert_snapshot!(alone(&workdir, "cancel runs"), @"
    exit 2
    --- stderr
    error: runs: holds no sweep
    ");
}

#[test]
fn a_sweep_that_compares_its_runs_on_the_way_is_not_submitted() {
    let workdir = toy::prepared();
    let shown = alone(&workdir, r#"submit toy.yaml --to slurm early_terminate={"type":"median"}"#);
    insta::assert_snapshot!(shown, @"
    exit 2
    --- stderr
    error: a sweep with `early_terminate` is not one of independent runs: after each round someone has to say which go on
    hint: `early_terminate=none` submits every run whole; `sweep run` does the rounds, also within one job
    ");
}

#[test]
fn what_a_cluster_is_asked_for_changes_no_run() {
    let workdir = toy::prepared();
    let text = fs::read_to_string(workdir.path().join("toy.yaml")).unwrap();
    workdir.file(
        "asking.yaml",
        &format!("{text}launcher: {{partition: gpu, cpus_per_task: 8, runs_per_task: 4}}\n"),
    );
    assert_eq!(ids(&workdir, "toy.yaml"), ids(&workdir, "asking.yaml"));
}

/// Freezes the plan of a sweep without running anything.
fn frozen(workdir: &Workdir, arguments: &str) {
    let shown = alone(workdir, &format!("submit {arguments} --to kubernetes --image x --volume-claim y"));
    assert!(shown.starts_with("exit 0\n") && shown.contains("next: kubectl apply -f "), "{shown}");
}

#[test]
fn tasks_started_by_hand_come_to_the_tables_of_a_local_sweep() {
    let workdir = toy::prepared();
    assert!(workdir.sweep(&toy::command(2).replace("--runs runs", "--runs local")).starts_with("exit 0\n"));
    frozen(&workdir, "toy.yaml");
    let task = |index: &str, variables: &[(&str, &str)]| {
        let mut command = workdir.command(&format!("worker --plan runs/toy/plan.jsonl --device cpu {index}"));
        command.envs(variables.iter().copied());
        workdir.shown(&command.output().unwrap())
    };
    assert!(task("--index 0", &[]).starts_with("exit 0\n"));
    assert!(
        task("--runs-per-task 2", &[("SLURM_ARRAY_TASK_ID", "1"), ("SWEEP_INDEX_OFFSET", "0")])
            .starts_with("exit 0\n")
    );
    assert!(task("--indices 0,1,4", &[("JOB_COMPLETION_INDEX", "1")]).starts_with("exit 0\n"));
    let last = task("", &[("HQ_TASK_ID", "4")]);
    assert!(last.starts_with("exit 0\n") && last.contains("(1/1 done)"), "{last}");
    // What is done is done.
    assert!(task("--index 4", &[]).starts_with("exit 0\n"));
    assert!(records(&workdir.path().join("runs"), "toy").iter().all(|run| run.attempts == 1));
    let [local, there] = ["local", "runs"].map(|runs| tables(&workdir.path().join(runs), "toy"));
    assert_eq!(difference(&there, &local), "");

    let none = task("--index 5", &[]);
    assert!(
        none.starts_with("exit 2\n") && none.contains("the task's index is 5, and the plan has 5 runs"),
        "{none}"
    );
    let other = task("--index 0 --plan-digest 0123456789abcdef", &[]);
    assert!(
        other.starts_with("exit 42\n") && other.contains("not the plan that the task was submitted for"),
        "{other}"
    );
}

#[test]
fn a_task_that_fails_for_good_says_so_by_its_code() {
    let workdir = toy::prepared();
    frozen(&workdir, "toy.yaml");
    fs::write(workdir.path().join("model/model.safetensors"), "no weights").unwrap();
    let shown = workdir.sweep("worker --plan runs/toy/plan.jsonl --device cpu --index 0");
    assert!(shown.starts_with("exit 42\n"), "{shown}");
}

fn start(workdir: &Workdir) -> Child {
    let mut command = workdir.command("worker --plan runs/small/plan.jsonl --device cpu --index 0");
    command.env("SLURM_ARRAY_JOB_ID", "1").env("SWEEP_MAX_REQUEUES", "3").env("PATH", "/nowhere");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(workdir: &Workdir) -> std::path::PathBuf {
    let sweep: &Path = &workdir.path().join("runs/small");
    sweep.join(json_lines(&sweep.join("plan.jsonl"))[0]["id"].as_str().unwrap())
}

#[test]
fn signals_of_schedulers_however_many_let_a_task_save_its_checkpoint() {
    let workdir = end_to_end::prepared();
    frozen(&workdir, &format!("small.yaml {ONE_RUN} epochs=8 patience=0"));
    for (attempt, names) in
        (1..).zip([&["-USR2"][..], &["-USR2", "-TERM", "-TERM"], &["-TERM", "-USR2", "-TERM"]])
    {
        let task = start(&workdir);
        // Before it has begun there is nothing to save.
        wait_until("the attempt", || {
            let mut events = events(&run(&workdir)).into_iter();
            events.any(|line| line["attempt"] == attempt && line["event"] == "evaluated")
        });
        names.iter().for_each(|name| signal(name, task.id()));
        let output = task.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{said}");
        let last = last_event(&run(&workdir));
        assert_eq!((last["status"].as_str(), last["attempt"].as_u64()), (Some("interrupted"), Some(attempt)));
        // There is no scontrol here, but it was looked for, and only where the time was up and nothing else was said.
        assert_eq!(
            said.contains("warning: the task does not go back into the queue"),
            names == ["-USR2"],
            "{said}"
        );
    }
}

#[test]
fn several_devices_work_on_a_run_each_and_come_to_the_same_tables() {
    let workdir = toy::prepared();
    assert!(workdir.sweep(&toy::command(1).replace("--runs runs", "--runs local")).starts_with("exit 0\n"));
    let shown = workdir.sweep("run toy.yaml --devices cpux2 --threads 1");
    assert!(shown.starts_with("exit 0\n") && shown.contains("; 2 at a time, 1 thread each"), "{shown}");
    let [local, there] = ["local", "runs"].map(|runs| tables(&workdir.path().join(runs), "toy"));
    assert_eq!(difference(&there, &local), "");
    let call = &json_lines(&workdir.path().join("runs/toy/invocations.jsonl"))[0];
    assert_eq!((call["device"].as_str(), call["jobs"].as_u64()), (Some("cpu,cpu"), Some(2)));
    let both = workdir.sweep("run toy.yaml --devices cpux2 --jobs 3");
    assert!(both.starts_with("exit 2\n"), "{both}");
    let none = workdir.sweep("run toy.yaml --devices cpu,gpu");
    assert!(none.starts_with("exit 2\n") && none.contains("there are `auto`, `cpu`"), "{none}");
    // A device that is not there is found out before the first run.
    let gone = workdir.sweep("run toy.yaml --runs other --devices cpu,cuda:7");
    assert!(gone.starts_with("exit 2\n") && gone.contains("fails in its first step"), "{gone}");
}

/// Programs that say so, in front of those there are, and a status that asks them.
fn with_answers(workdir: &Workdir, answers: &[(&str, &str)]) -> String {
    with_programs(workdir, answers, "status")
}

/// The same for any call.
fn with_programs(workdir: &Workdir, answers: &[(&str, &str)], arguments: &str) -> String {
    let folder = workdir.path().join("programs");
    for (name, script) in answers {
        workdir.file(&format!("programs/{name}"), &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    workdir.shown(&workdir.command(arguments).env("PATH", path).output().unwrap())
}

/// `sbatch` that takes a job and kills whoever handed it over before its answer can be written down.
const KILLS: &str = r#"for script; do :; done
sed -n 's/^#SBATCH --job-name=//p' "$script" >name
echo 77
kill -9 $PPID"#;

#[test]
fn a_job_that_was_taken_when_submitting_was_killed_is_found_by_its_name_and_not_handed_over_twice() {
    let workdir = toy::prepared();
    let mut programs = vec![
        ("scontrol", "echo 'MaxArraySize = 1001'"),
        ("squeue", "exit 0"),
        ("sacct", "exit 0"),
        ("scancel", "echo \"$@\" >cancelled"),
        ("sbatch", KILLS),
    ];
    let killed = with_programs(&workdir, &programs, "submit toy.yaml --to slurm");
    assert!(killed.starts_with("exit killed\n"), "{killed}");
    let folder = workdir.path().join("runs/toy/slurm");
    assert!(!folder.join("submissions.jsonl").exists() && workdir.path().join("name").is_file());
    programs[1].1 = "echo \"77|0-2|PENDING|Priority|$(cat name)\"; echo \"77|3|RUNNING|None|$(cat name)\"";
    programs[4].1 = "echo \"$@\" >>handed; echo 78";
    let shown = with_programs(&workdir, &programs, "status");
    assert!(
        shown.contains("5 runs: 1 running, 3 queued, 1 waiting") && shown.contains("77_0 (Priority)"),
        "{shown}"
    );
    let again = with_programs(&workdir, &programs, "submit toy.yaml --to slurm --no-report");
    assert!(
        again.contains("4 runs are in the queue or at work already") && again.contains("1 run in 1 task"),
        "{again}"
    );
    assert_eq!(json_lines(&folder.join("submissions.jsonl"))[0]["array"], "4");
    let cancelled = with_programs(&workdir, &programs, "cancel runs/toy");
    assert!(cancelled.contains("runs/toy: cancelled: 77"), "{cancelled}");
    assert_eq!(fs::read_to_string(workdir.path().join("cancelled")).unwrap(), "77\n");
    // Once the queue has forgotten it, the accounts know it by its name too.
    programs[1].1 = "exit 0";
    programs[2].1 = "echo \"77_1|FAILED|$(cat name)\"";
    let shown = with_programs(&workdir, &programs, "status");
    assert!(shown.contains("failed: Slurm: FAILED (task 77_1)"), "{shown}");
}

#[test]
fn what_is_in_hyperqueues_queue_is_not_handed_over_twice_nor_what_is_another_servers_cancelled() {
    let workdir = toy::prepared();
    // It takes a job, and has then what `jobs` and `tasks` hold.
    let hq = r#"case "$*" in
  *" job list") cat jobs ;;
  *" task list "*) echo "$*" >asked; cat tasks ;;
  "job cancel "*) echo "$*" >cancelled ;;
  *" submit "*) echo "$*" >handed; echo 3 ;;
esac"#;
    let programs = [("hq", hq)];
    workdir.file("jobs", "[]");
    let call = |arguments: &str| with_programs(&workdir, &programs, arguments);
    let submit = "submit toy.yaml --to hyperqueue";
    assert!(call(submit).contains("5 runs in 5 tasks, job 3"));
    let name = json_lines(&workdir.path().join("runs/toy/hyperqueue/submissions.jsonl"))[0]["name"].clone();
    let job = |name: &Value| {
        format!(r#"[{{"id": 2, "name": "other"}}, {{"id": 3, "name": {name}, "task_count": 5}}]"#)
    };
    workdir.file("jobs", &job(&name));
    workdir.file(
        "tasks",
        r#"{"3": [{"id": 0, "state": "finished"}, {"id": 1, "state": "running"}, {"id": 2, "state": "waiting"},
            {"id": 3, "state": "waiting"}, {"id": 4, "state": "failed"}]}"#,
    );
    let status = call("status");
    assert!(status.contains("5 runs: 1 running, 2 queued, 2 waiting") && status.contains("3_2"), "{status}");
    let other = call(&format!("{submit} seeds=0,1"));
    assert!(
        other.starts_with("exit 2\n")
            && other.contains("jobs of an earlier plan of this sweep are in the queue: 3"),
        "{other}"
    );
    let again = call(submit);
    assert!(again.contains("3 runs are in the queue or at work already"), "{again}");
    assert_eq!(fs::read_to_string(workdir.path().join("asked")).unwrap(), "--output-mode=json task list 3\n");
    let handed = fs::read_to_string(workdir.path().join("handed")).unwrap();
    assert!(handed.contains(" --array=0,4 "), "{handed}");
    assert!(call("cancel runs/toy").contains("runs/toy: cancelled: 3"));
    // A server that was started anew counts from 1 again.
    workdir.file("jobs", &job(&Value::from("another")));
    assert!(call("cancel runs/toy").contains("runs/toy: nothing is in a queue"));
    workdir.file("jobs", "3 RUNNING");
    let refused = call(submit);
    assert!(
        refused.starts_with("exit 2\n") && refused.contains("hq: its answer in JSON has no jobs"),
        "{refused}"
    );
}

#[test]
fn whatever_programs_of_the_cluster_say_the_status_is_shown() {
    let workdir = toy::prepared();
    frozen(&workdir, "toy.yaml");
    let sweep = Store::new(&workdir.path().join("runs")).sweep("toy");
    let submission = Submission {
        array: Some("0-4".to_owned()),
        plan: plan_digest(&sweep.read_plan().unwrap()),
        ..Submission::new("2026-01-09T12:00:00Z".to_owned(), "12".to_owned(), "sweep-toy-0a1b2c".to_owned())
    };
    sweep.submissions("slurm").write("0001.sh", "").unwrap();
    sweep.submissions("slurm").append(&submission).unwrap();
    let nonsense = [
        "exit 0",
        "echo; echo; echo '||||'; echo '12|0-4'",
        "head -c 100000 /dev/urandom",
        "yes | head -n 100000",
        "echo '12|0-9999999999|RUNNING|None|sweep-toy-0a1b2c'; echo '12_0-4-9|FAILED|sweep-toy-0a1b2c'",
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
        "kill -9 $$",
    ];
    for script in nonsense {
        let shown = with_answers(&workdir, &[("squeue", script), ("sacct", script)]);
        assert!(shown.starts_with("exit 0\n") && shown.contains("5 runs: 5 waiting"), "{script}: {shown}");
    }
    let silent = "exit 0";
    let told = "echo '12_0|FAILED|sweep-toy-0a1b2c'; echo '12_1|RUNNING|sweep-toy-0a1b2c'; echo '12_2|CANCELLED by 0|sweep-toy-0a1b2c'";
    // What the accounts have as running and the queue has not does not run.
    let shown = with_answers(&workdir, &[("squeue", silent), ("sacct", told)]);
    assert!(shown.contains("5 runs: 1 failed, 4 waiting"), "{shown}");
    // As a cluster answered whose accounts know of a task that took too much.
    let told_of_memory = "echo '12_0|OUT_OF_MEMORY|sweep-toy-0a1b2c'; echo '12_1|COMPLETED|sweep-toy-0a1b2c'";
    let shown = with_answers(&workdir, &[("squeue", silent), ("sacct", told_of_memory)]);
    assert!(shown.contains("5 runs: 1 failed, 4 waiting") && shown.contains(" out of memory "), "{shown}");
    assert!(shown.contains(" out of memory: Slurm: OUT_OF_MEMORY (task 12_0)\n"), "{shown}");
    assert!(
        shown.contains("\nhint: `mem_gb` of `launcher:`, or `--mem-gb` of `sweep submit`, asks for more"),
        "{shown}"
    );
    let queued = "echo '12|0-4|PENDING|Priority|sweep-toy-0a1b2c'";
    let shown = with_answers(&workdir, &[("squeue", queued), ("sacct", told)]);
    assert!(shown.contains("5 runs: 5 queued") && shown.contains("12_0 (Priority)"), "{shown}");

    // A line of a version to come is said, and the others count.
    sweep.submissions("slurm").append(&Submission { v: 2, job: "13".to_owned(), ..submission }).unwrap();
    let shown = with_answers(&workdir, &[("squeue", queued), ("sacct", silent)]);
    assert!(shown.contains("5 runs: 5 queued"), "{shown}");
    let warning = "has version 2 of the format; this program reads version 1; the job that this line is of is not known";
    assert!(
        shown.contains("warning: runs/toy/slurm/submissions.jsonl: ") && shown.contains(warning),
        "{shown}"
    );
}

#[test]
fn a_task_completes_the_variables_of_the_caches_folder_and_refuses_what_is_not_set() {
    let workdir = toy::prepared();
    frozen(&workdir, "toy.yaml");
    let task = |index: usize, folder: &str| {
        let words =
            format!("worker --plan runs/toy/plan.jsonl --device cpu --index {index} --cache-dir {folder}/x");
        let mut command = workdir.command(&words);
        command.env("DISK", workdir.path().join("disk")).env("EMPTY", "").env_remove("NOT_SET");
        workdir.shown(&command.output().unwrap())
    };
    assert!(task(0, "$DISK").starts_with("exit 0\n"));
    assert!(workdir.path().join("disk/x").is_dir() && !workdir.path().join("runs/.cache").exists());
    assert!(task(1, "${NOT_SET:-other}").starts_with("exit 0\n") && workdir.path().join("other/x").is_dir());
    insta::assert_snapshot!(task(2, "${NOT_SET}"), @"
    exit 42
    --- stderr
    error: the feature cache in `${NOT_SET}/x`: the variable NOT_SET is not set on this node
    hint: `cache_dir` of `launcher:` names another folder; `${NAME:-/tmp}` stands for /tmp where NAME is not set
    ");
    assert!(task(2, "$EMPTY").starts_with("exit 42\n"));
    assert!(records(&workdir.path().join("runs"), "toy")[2].attempts == 0);
}
