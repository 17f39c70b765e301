//! What Kubernetes is told: the manifest of an Indexed Job. Pure.
//!
//! Pods count from 0 without gaps; which runs those are is a list in the worker's arguments. A run that failed for good
//! (exit code 42) is not tried again, a pod that was evicted does not count as a failure
//! (<https://kubernetes.io/docs/tasks/job/pod-failure-policy/>). Needs Kubernetes 1.29, from where on limits an index are on by
//! default.

use std::path::Path;

use serde_json::{Value, json};

use super::array::compact;
use super::command::{Worker, shown};
use crate::run::launcher::exit_code;
use crate::spec::Launcher;

/// A pod has this long to save a checkpoint when it is told to end.
const GRACE_SECONDS: u64 = 120;

/// The manifest as YAML.
///
/// # Errors
/// The name of a setting that is missing.
pub fn manifest(
    name: &str,
    tasks: &[usize],
    worker: &Worker,
    launcher: &Launcher,
) -> Result<String, &'static str> {
    let value = job(name, tasks, worker, launcher)?;
    serde_yaml::to_string(&value).map_err(|_| "a manifest that can be written")
}

/// A setting that is missing: what cannot be guessed.
pub fn missing(launcher: &Launcher) -> Option<&'static str> {
    let needed = [("image", &launcher.image), ("volume_claim", &launcher.volume_claim)];
    needed.into_iter().find(|(_, value)| value.is_none()).map(|(name, _)| name)
}

fn job(name: &str, tasks: &[usize], worker: &Worker, launcher: &Launcher) -> Result<Value, &'static str> {
    let image = launcher.image.as_ref().ok_or("image")?;
    let claim = launcher.volume_claim.as_ref().ok_or("volume_claim")?;
    let mount = launcher.mount.as_deref().map_or(worker.working_directory.as_path(), Path::new);
    let mut arguments = worker.arguments(launcher);
    arguments.extend(["--indices".to_owned(), compact(tasks)]);
    let cpus = launcher.cpus().to_string();
    let mut limits = json!({"cpu": cpus});
    if let Some(gigabytes) = launcher.mem_gb {
        limits["memory"] = json!(format!("{}Mi", (gigabytes * 1024.0).ceil()));
    }
    if let Some(gpus) = launcher.gpus_per_node.filter(|count| *count > 0) {
        limits["nvidia.com/gpu"] = json!(gpus.to_string());
    }
    let mut spec = json!({
        "completionMode": "Indexed",
        "completions": tasks.len(),
        "parallelism": launcher.array_parallelism.map_or(tasks.len() as u64, |most| most.min(tasks.len() as u64)),
        "backoffLimitPerIndex": launcher.requeues(),
        "podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailIndex", "onExitCodes": {"containerName": "sweep", "operator": "In", "values": [exit_code::FAILED]}}
        ]},
        "template": {"spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "containers": [{
                "name": "sweep",
                "image": image,
                "command": ["sweep"],
                "args": arguments,
                "workingDir": shown(&worker.working_directory),
                "env": [{"name": "SWEEP_LEASE", "value": "heartbeat"}],
                "resources": {"limits": limits},
                "volumeMounts": [{"name": "study", "mountPath": shown(mount)}]
            }],
            "volumes": [{"name": "study", "persistentVolumeClaim": {"claimName": claim}}]
        }}
    });
    if let Some(minutes) = launcher.timeout_min {
        // A pod that is stopped at its deadline has failed, and is tried again from its checkpoint.
        spec["template"]["spec"]["activeDeadlineSeconds"] = json!(minutes * 60);
    }
    Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}))
}

/// A name that Kubernetes takes: small letters, digits and dashes, at most 63.
pub fn object_name(name: &str) -> String {
    let small = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(small).collect();
    // The tag at the end is what tells jobs apart.
    let start = name.len().saturating_sub(63);
    name[start..].trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::worker;
    use super::*;

    fn launcher() -> Launcher {
        Launcher {
            image: Some("registry.example/sweep:1".to_owned()),
            volume_claim: Some("study".to_owned()),
            timeout_min: Some(90),
            gpus_per_node: Some(1),
            cpus_per_task: Some(8),
            mem_gb: Some(16.0),
            array_parallelism: Some(4),
            ..Launcher::default()
        }
    }

    #[test]
    fn a_job_has_an_index_for_each_task_and_no_retry_for_what_failed_for_good() {
        insta::assert_snapshot!(manifest("sweep-unfreeze", &[3, 7, 12, 13, 14], &worker(), &launcher()).unwrap(), @"
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: sweep-unfreeze
        spec:
          backoffLimitPerIndex: 10
          completionMode: Indexed
          completions: 5
          parallelism: 4
          podFailurePolicy:
            rules:
            - action: Ignore
              onPodConditions:
              - status: 'True'
                type: DisruptionTarget
            - action: FailIndex
              onExitCodes:
                containerName: sweep
                operator: In
                values:
                - 42
          template:
            spec:
              activeDeadlineSeconds: 5400
              containers:
              - args:
                - worker
                - --plan
                - /home/me/study/runs/unfreeze/plan.jsonl
                - --plan-digest
                - 0123456789abcdef
                - --runs
                - /home/me/study/runs
                - --device
                - auto
                - --threads
                - '8'
                - --checkpoint-every
                - 1m30s
                - --indices
                - 3,7,12-14
                command:
                - sweep
                env:
                - name: SWEEP_LEASE
                  value: heartbeat
                image: registry.example/sweep:1
                name: sweep
                resources:
                  limits:
                    cpu: '8'
                    memory: 16384Mi
                    nvidia.com/gpu: '1'
                volumeMounts:
                - mountPath: /home/me/study
                  name: study
                workingDir: /home/me/study
              restartPolicy: Never
              terminationGracePeriodSeconds: 120
              volumes:
              - name: study
                persistentVolumeClaim:
                  claimName: study
        ");
    }

    #[test]
    fn what_cannot_be_guessed_is_asked_for() {
        let missing = |launcher: &Launcher| manifest("x", &[0], &worker(), launcher).unwrap_err();
        assert_eq!(missing(&Launcher::default()), "image");
        assert_eq!(missing(&Launcher { volume_claim: None, ..launcher() }), "volume_claim");
    }

    #[test]
    fn names_are_such_as_kubernetes_takes() {
        assert_eq!(object_name("sweep-My_study.2-0a1b2c"), "sweep-my-study-2-0a1b2c");
        let long = object_name(&format!("sweep-{}-0a1b2c", "x".repeat(64)));
        assert!(long.len() <= 63 && long.ends_with("-0a1b2c"), "{long}");
    }

    /// Checks a value against a schema of Kubernetes' published API: known keys, right types, required ones there.
    fn check(value: &Value, schema: &Value, all: &Value, place: &str) {
        if let Some(name) = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str()) {
            let name = name.rsplit('/').next().unwrap();
            let schema = &all[name];
            assert!(!schema.is_null(), "{place}: the excerpt lacks {name}");
            return check(value, schema, all, place);
        }
        match schema["type"].as_str() {
            Some("object") => {
                let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object"));
                for key in schema["required"].as_array().into_iter().flatten() {
                    assert!(object.contains_key(key.as_str().unwrap()), "{place} lacks {key}");
                }
                for (key, value) in object {
                    let known = &schema["properties"][key];
                    let known = if known.is_null() { &schema["additionalProperties"] } else { known };
                    assert!(!known.is_null(), "{place} has no {key}");
                    check(value, known, all, &format!("{place}.{key}"));
                }
            }
            Some("array") => {
                for (index, item) in
                    value.as_array().unwrap_or_else(|| panic!("{place} is no list")).iter().enumerate()
                {
                    check(item, &schema["items"], all, &format!("{place}[{index}]"));
                }
            }
            Some("integer") => assert!(value.is_i64() || value.is_u64(), "{place} is {value}"),
            Some("string") => assert!(value.is_string(), "{place} is {value}"),
            Some("boolean") => assert!(value.is_boolean(), "{place} is {value}"),
            // A quantity is a string or a number.
            None if schema["oneOf"].is_array() => {
                assert!(value.is_string() || value.is_number(), "{place} is {value}")
            }
            other => panic!("{place}: the schema says {other:?}"),
        }
    }

    /// Keys, types and required keys of what a job is made of, from the schemas that Kubernetes 1.32 publishes
    /// (`api/openapi-spec`), without their descriptions. PyPI's kubernetes-validate has them whole, for every version:
    /// `kubernetes-validate -k 1.32 --strict FILE`.
    fn schemas() -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/job.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_manifest_is_one_by_the_published_schema() {
        let all = schemas();
        let job = job("sweep-unfreeze", &[3, 7], &worker(), &launcher()).unwrap();
        check(&job, &all["io.k8s.api.batch.v1.Job"], &all, "job");
    }

    #[test]
    #[should_panic(expected = "job.spec has no completionMod")]
    fn the_check_of_the_schema_can_fail() {
        let all = schemas();
        check(
            &json!({"spec": {"completionMod": "Indexed", "template": {}}}),
            &all["io.k8s.api.batch.v1.Job"],
            &all,
            "job",
        );
    }
}
