//! Keeping a run's folder whole: what attempts that were killed left behind, and what one attempt owes the next.

use std::path::PathBuf;

use super::files::{StoreError, remove_file, remove_temporary_files, sync_rows};
use super::folder;
use super::store::RunDir;

impl RunDir {
    /// Captions of an evaluation that is not over.
    pub fn partial_captions(&self) -> PathBuf {
        self.path.join(".captions.json")
    }

    /// Mends what a process that was killed left in the run's folder. Only for who holds the run.
    pub fn tidy(&self) -> Result<(), StoreError> {
        folder::settle(&self.best())?;
        folder::settle(&self.last())?;
        for folder in [&self.path, &self.best(), &self.last(), &self.diagnostics()] {
            remove_temporary_files(folder)?;
        }
        Ok(())
    }

    /// Removes what an earlier attempt measured, so that nothing of it is mixed with what one that begins anew
    /// measures. The log stays: its fold leaves out what does not count.
    pub fn remove_results(&self) -> Result<(), StoreError> {
        remove_file(&self.per_image())?;
        remove_file(&self.predictions())?;
        folder::remove(&self.diagnostics())?;
        folder::remove(&self.best())
    }

    /// Makes the events and rows so far last through a power cut: a checkpoint must not know of more than they say.
    pub fn sync_rows(&self) -> Result<(), StoreError> {
        sync_rows(&self.events())?;
        sync_rows(&self.per_image())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The files below a run's folder that has these.
    fn after(files: &[&str], act: fn(&RunDir) -> Result<(), StoreError>) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        act(&RunDir { path: root.path().to_owned() }).unwrap();
        let left = walkdir::WalkDir::new(root.path()).sort_by_file_name().into_iter().map(Result::unwrap);
        let name = |entry: walkdir::DirEntry| {
            entry.path().strip_prefix(root.path()).unwrap().to_string_lossy().into_owned()
        };
        left.filter(|entry| entry.file_type().is_file()).map(name).collect()
    }

    #[test]
    fn what_killed_writers_left_goes_and_all_else_stays() {
        let files = [
            ".last.new/model.safetensors",
            ".best.old/model.safetensors",
            "last/training_state.json",
            "last/.training_state.json.7.0.tmp",
            ".predictions.jsonl.7.3.tmp",
            "diagnostics/.cka.json.7.1.tmp",
            "diagnostics/cka.json",
            "events.jsonl",
            ".lock",
            "notes.tmp",
        ];
        let left = [
            ".lock",
            "best/model.safetensors",
            "diagnostics/cka.json",
            "events.jsonl",
            "last/training_state.json",
            "notes.tmp",
        ];
        assert_eq!(after(&files, RunDir::tidy), left);
        assert_eq!(after(&[], RunDir::tidy), [""; 0]);
    }

    #[test]
    fn a_run_that_begins_anew_keeps_its_log_and_settings() {
        let files = [
            "best/config.json",
            "config.yaml",
            "diagnostics/cka.json",
            "events.jsonl",
            "log.txt",
            "per_image.jsonl",
            "predictions.jsonl",
        ];
        assert_eq!(after(&files, RunDir::remove_results), ["config.yaml", "events.jsonl", "log.txt"]);
    }
}
