//! The feature cache of tasks on several nodes: in the folder that all share, and on a disk that each node has of its own.

use std::fs;

use super::{Cluster, json_lines};
use crate::end_to_end;
use crate::toy::{difference, records, tables};
use crate::workdir::Workdir;

/// Four that begin at once, two on a node, and want the same states of the same images.
const FOUR_RUNS: &str = "small.yaml unfrozen_vision_layers=1 vision_lr_multiplier=1.0 seeds=0,1,2,3 epochs=2 \
    references.zero_shot=false references.constant_caption=false references.nearest_image=false references.matched_length=false \
    simple_models=false";

fn encoded(workdir: &Workdir, runs: &str) -> usize {
    let runs = records(&workdir.path().join(runs), "small");
    runs.iter().map(|run| run.summary.as_ref().expect("it ended").images_encoded).sum()
}

#[test]
fn tasks_share_states_of_images_across_nodes_or_within_each() {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = end_to_end::prepared();
    let local = workdir.sweep(&format!("run {FOUR_RUNS} --runs local --threads 1 --jobs 1 --no-preflight"));
    assert!(local.starts_with("exit 0\n"), "{local}");
    // One after the other, each image is encoded by whoever comes first.
    let images = encoded(&workdir, "local");
    assert!(images > 0);
    let disks = workdir.path().join("disks");
    let own = format!("--node-cache-dir {}/${{SLURMD_NODENAME}}/features", disks.display());
    for (runs, options) in [("shared", ""), ("own", own.as_str())] {
        let shown = cluster
            .sweep(&workdir, &format!("submit {FOUR_RUNS} --to slurm --no-report --runs {runs} {options}"));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        cluster.wait_until_idle();
        let logs = cluster.logs(&workdir.path().join(runs).join("small"));
        let [local, there] = ["local", runs].map(|runs| tables(&workdir.path().join(runs), "small"));
        assert_eq!(difference(&there, &local), "", "{logs}");
    }
    assert_eq!(encoded(&workdir, "shared"), images, "each once in all");
    assert!(
        workdir.path().join("shared/.cache/features").is_dir() && !workdir.path().join("own/.cache").exists()
    );
    let nodes = fs::read_dir(&disks).unwrap().count();
    assert_eq!((nodes, encoded(&workdir, "own")), (2, 2 * images), "each once on a node");
    // Where a run is does not say where its states were.
    let ids = |runs: &str| {
        let plan = json_lines(&workdir.path().join(runs).join("small/plan.jsonl"));
        plan.iter().map(|run| run["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids("shared"), ids("own"));

    let shown = cluster.sweep(
        &workdir,
        &format!(
            "submit {FOUR_RUNS} --to slurm --no-report --runs none --node-cache-dir $NOWHERE_SET/features"
        ),
    );
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    cluster.wait_until_idle();
    let logs = cluster.logs(&workdir.path().join("none/small"));
    assert!(logs.contains("error: the feature cache in `$NOWHERE_SET/features`: the variable NOWHERE_SET is not set on this node"), "{logs}");
}
