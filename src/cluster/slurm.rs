//! What Slurm is told: the script of an array, and that of the job that reports behind it. Pure.
//!
//! Options and their meaning are those of sbatch(1), names of settings those of submitit.

use std::path::Path;

use super::array::{Chunk, compact};
use super::command::{Worker, quoted, shown};
use crate::spec::Launcher;

/// `MaxArraySize` where nobody says otherwise, as in slurm.conf(5).
pub const MAX_ARRAY_SIZE: usize = 1001;

/// The script of an array of tasks. `folder` is where its logs go.
pub fn array_script(
    name: &str,
    chunk: &Chunk,
    worker: &Worker,
    launcher: &Launcher,
    folder: &Path,
) -> String {
    let at_a_time = launcher.array_parallelism.map(|count| format!("%{count}")).unwrap_or_default();
    let mut options = vec![
        option("job-name", name),
        option("array", &format!("{}{at_a_time}", compact(&chunk.indices))),
        option("output", &format!("{}/%A_%a.log", escaped(folder))),
        option("open-mode", "append"),
        option("requeue", ""),
        option("signal", &format!("B:USR2@{}", signal_delay(launcher))),
        option("chdir", &shown(&worker.working_directory)),
    ];
    options.extend(limits(launcher));
    options.extend(resources(launcher));
    options.extend(launcher.additional_parameters.iter().map(|(name, value)| option(name, value)));
    format!(
        "#!/bin/bash\n{}export SWEEP_INDEX_OFFSET={}\nexport SWEEP_MAX_REQUEUES={}\n{}",
        options.concat(),
        chunk.offset,
        launcher.requeues(),
        worker.lines(launcher, "")
    )
}

/// The script of the job that reports once the arrays have ended.
pub fn report_script(
    name: &str,
    sweep: &Path,
    reports: &Path,
    worker: &Worker,
    launcher: &Launcher,
    folder: &Path,
) -> String {
    let mut options = vec![
        option("job-name", name),
        option("output", &format!("{}/%j-report.log", escaped(folder))),
        option("chdir", &shown(&worker.working_directory)),
    ];
    options.extend(limits(launcher));
    let setup: String = launcher.setup.iter().map(|line| format!("{line}\n")).collect();
    let words = [&worker.program, Path::new("report"), sweep, Path::new("--out"), reports];
    let words: Vec<String> = words.iter().map(|word| quoted(&shown(word))).collect();
    format!("#!/bin/bash\n{}{setup}exec {}\n", options.concat(), words.join(" "))
}

fn option(name: &str, value: &str) -> String {
    match value {
        "" => format!("#SBATCH --{name}\n"),
        value if value.contains(char::is_whitespace) => {
            format!("#SBATCH --{name}=\"{}\"\n", value.replace('"', "\\\""))
        }
        value => format!("#SBATCH --{name}={value}\n"),
    }
}

/// In names of files sbatch replaces what follows a percent sign.
fn escaped(folder: &Path) -> String {
    shown(folder).replace('%', "%%")
}

/// Whom the job is of, and how long it may take.
fn limits(launcher: &Launcher) -> Vec<String> {
    let minutes = launcher.timeout_min.map(|minutes| minutes.to_string());
    let named = [
        ("time", &minutes),
        ("partition", &launcher.partition),
        ("account", &launcher.account),
        ("qos", &launcher.qos),
    ];
    named.into_iter().filter_map(|(name, value)| Some(option(name, value.as_deref()?))).collect()
}

fn resources(launcher: &Launcher) -> Vec<String> {
    let megabytes = launcher.mem_gb.map(|gigabytes| format!("{}M", (gigabytes * 1024.0).ceil()));
    let gpus = launcher.gpus_per_node.filter(|count| *count > 0).map(|count| count.to_string());
    let named = [
        ("cpus-per-task", &Some(launcher.cpus().to_string())),
        ("gpus-per-node", &gpus),
        ("gres", &launcher.gres),
        ("mem", &megabytes),
        ("constraint", &launcher.constraint),
        ("exclude", &launcher.exclude),
    ];
    named.into_iter().filter_map(|(name, value)| Some(option(name, value.as_deref()?))).collect()
}

/// Half of a short limit at most: a task shall also do something.
fn signal_delay(launcher: &Launcher) -> u64 {
    let half = launcher.timeout_min.map_or(u64::MAX, |minutes| minutes * 30);
    launcher.signal_delay().min(half)
}

/// The job's number in what `sbatch --parsable` says: `123` or `123;cluster`.
pub fn job_id(said: &str) -> Option<String> {
    let line = said.lines().rev().find(|line| !line.trim().is_empty())?;
    let id = line.split(';').next()?.trim();
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

/// `MaxArraySize` in what `scontrol show config` says.
pub fn max_array_size(said: &str) -> Option<usize> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    line.trim_start().strip_prefix('=')?.trim().parse().ok().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::worker;
    use super::*;

    fn chunk(indices: &[usize]) -> Chunk {
        Chunk { offset: 0, indices: indices.to_vec() }
    }

    #[test]
    fn the_script_of_an_array_without_any_setting_asks_for_nothing_that_it_does_not_need() {
        let folder = Path::new("/home/me/study/runs/unfreeze/slurm");
        let script = array_script(
            "sweep-unfreeze-0a1b2c",
            &chunk(&[0, 1, 2, 3]),
            &worker(),
            &Launcher::default(),
            folder,
        );
        insta::assert_snapshot!(script, @r#"
        #!/bin/bash
        #SBATCH --job-name=sweep-unfreeze-0a1b2c
        #SBATCH --array=0-3
        #SBATCH --output=/home/me/study/runs/unfreeze/slurm/%A_%a.log
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --signal=B:USR2@180
        #SBATCH --chdir=/home/me/study
        #SBATCH --cpus-per-task=1
        export SWEEP_INDEX_OFFSET=0
        export SWEEP_MAX_REQUEUES=10
        export SWEEP_LEASE="${SWEEP_LEASE:-heartbeat}"
        exec /opt/sweep/bin/sweep worker --plan /home/me/study/runs/unfreeze/plan.jsonl --plan-digest 0123456789abcdef --runs /home/me/study/runs --device auto --threads 1 --checkpoint-every 1m30s
        "#);
    }

    #[test]
    fn every_setting_has_its_place_in_the_script() {
        let launcher = Launcher {
            timeout_min: Some(240),
            partition: Some("gpu".to_owned()),
            account: Some("lab".to_owned()),
            qos: Some("long".to_owned()),
            constraint: Some("a100|h100".to_owned()),
            exclude: Some("node[1-3]".to_owned()),
            gres: Some("ssd:1".to_owned()),
            gpus_per_node: Some(1),
            cpus_per_task: Some(8),
            mem_gb: Some(31.5),
            array_parallelism: Some(8),
            runs_per_task: Some(4),
            max_requeues: Some(3),
            signal_delay_s: Some(600),
            cache_dir: Some("$TMPDIR/features".to_owned()),
            setup: vec!["module load cuda".to_owned()],
            additional_parameters: [
                ("nice".to_owned(), "100".to_owned()),
                ("comment".to_owned(), "two words".to_owned()),
            ]
            .into(),
            ..Launcher::default()
        };
        let chunk = Chunk { offset: 1001, indices: vec![3, 7, 12, 13, 14] };
        let folder = Path::new("/data/100% mine/unfreeze/slurm");
        insta::assert_snapshot!(array_script("sweep-unfreeze-0a1b2c", &chunk, &worker(), &launcher, folder), @r#"
        #!/bin/bash
        #SBATCH --job-name=sweep-unfreeze-0a1b2c
        #SBATCH --array=3,7,12-14%8
        #SBATCH --output="/data/100%% mine/unfreeze/slurm/%A_%a.log"
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --signal=B:USR2@600
        #SBATCH --chdir=/home/me/study
        #SBATCH --time=240
        #SBATCH --partition=gpu
        #SBATCH --account=lab
        #SBATCH --qos=long
        #SBATCH --cpus-per-task=8
        #SBATCH --gpus-per-node=1
        #SBATCH --gres=ssd:1
        #SBATCH --mem=32256M
        #SBATCH --constraint=a100|h100
        #SBATCH --exclude=node[1-3]
        #SBATCH --comment="two words"
        #SBATCH --nice=100
        export SWEEP_INDEX_OFFSET=1001
        export SWEEP_MAX_REQUEUES=3
        export SWEEP_LEASE="${SWEEP_LEASE:-heartbeat}"
        module load cuda
        exec /opt/sweep/bin/sweep worker --plan /home/me/study/runs/unfreeze/plan.jsonl --plan-digest 0123456789abcdef --runs /home/me/study/runs --device auto --threads 8 --checkpoint-every 1m30s --runs-per-task 4 --cache-dir '$TMPDIR/features'
        "#);
        let report = report_script(
            "sweep-unfreeze-0a1b2c-report",
            Path::new("/home/me/study/runs/unfreeze"),
            Path::new("/home/me/study/my reports"),
            &worker(),
            &launcher,
            folder,
        );
        insta::assert_snapshot!(report, @r#"
        #!/bin/bash
        #SBATCH --job-name=sweep-unfreeze-0a1b2c-report
        #SBATCH --output="/data/100%% mine/unfreeze/slurm/%j-report.log"
        #SBATCH --chdir=/home/me/study
        #SBATCH --time=240
        #SBATCH --partition=gpu
        #SBATCH --account=lab
        #SBATCH --qos=long
        module load cuda
        exec /opt/sweep/bin/sweep report /home/me/study/runs/unfreeze --out '/home/me/study/my reports'
        "#);
    }

    #[test]
    fn a_short_limit_leaves_half_of_it_for_work() {
        let with = |timeout_min| signal_delay(&Launcher { timeout_min, ..Launcher::default() });
        assert_eq!([with(None), with(Some(60)), with(Some(1))], [180, 180, 30]);
    }

    #[test]
    fn answers_are_read_as_slurm_gives_them() {
        assert_eq!(job_id("123\n").as_deref(), Some("123"));
        assert_eq!(job_id("sbatch: lua: a note\n123;north\n\n").as_deref(), Some("123"));
        for said in ["", "Submitted batch job 123", "error", ";x"] {
            assert_eq!(job_id(said), None, "{said}");
        }
        let config = "MailProg                = /bin/mail\nMaxArraySize            = 4001\nMaxBatchRequeue         = 5\n";
        assert_eq!(max_array_size(config), Some(4001));
        assert_eq!(max_array_size("MaxArraySize = 0"), None);
    }
}
