//! `sweep worker`: the process that works on one run.
//!
//! It reads the run's settings, lets `train` do the work, and puts every event into the journal and on standard
//! output. However the work ends, by its own word, by an error or by a panic, the journal gets its `ended` line.

use std::any::Any;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use super::cache::{Cache, unfrozen_layers};
use super::ending::{LESS_MEMORY, status_of_error, summary_so_far};
use super::heirs;
use super::launcher::exit_code;
use super::lease::Lease;
use super::resolve::resolve;
use super::signals;
use crate::record::event::Ended;
use crate::record::{Event, Journal, RunDir, RunSpec, Status, SweepDir, config, journal};
use crate::train::origin::{difference, settings};
use crate::train::{self, CacheUse, Heir, Session};

/// What the worker is told to do.
#[derive(Debug, Clone)]
pub struct Order {
    pub run: RunDir,
    /// The `runs/` folder, which holds the built-in study.
    pub runs: PathBuf,
    pub device: String,
    pub threads: usize,
    /// How much work may be lost if the run is cut off.
    pub checkpoint_every: Duration,
    /// Save a checkpoint and end after this epoch, if there are more.
    pub until_epoch: Option<usize>,
    /// Where states of images are kept between runs; `None` goes without.
    pub cache: Option<Cache>,
    /// Stop when standard input ends: the parent asks for it, or is gone.
    pub supervised: bool,
}

/// Works on a run until it ends, and returns the exit code that says how.
pub fn work(order: &Order) -> anyhow::Result<i32> {
    work_as(order, |spec, stop, emit| {
        let plan = planned(order);
        check_settings(order, &plan, spec)?;
        let cache = order.cache.as_ref().map(|cache| CacheUse {
            folder: cache.folder.clone(),
            bytes: cache.bytes,
            unfrozen: unfrozen_layers(&plan, spec),
            say: &log,
        });
        let heir = heir_of(order, &plan, spec);
        let heir = heir.as_ref().map(|(spec, directory, _)| Heir { spec, directory });
        with_session(order, spec, stop, cache, heir, |session| train::execute(session, emit))
    })
}

/// The run that waits for this one to go on from its end, with its folder, which is this process's as long as it has the
/// lease. Only where one executor has the whole plan in hand is there one that waits.
fn heir_of(order: &Order, plan: &[RunSpec], spec: &RunSpec) -> Option<(RunSpec, RunDir, Lease)> {
    if !order.supervised || order.until_epoch.is_some() {
        return None;
    }
    let planned = plan.iter().find(|planned| planned.id == spec.id)?;
    let heir = heirs::heir(plan, planned)?;
    let directory = RunDir { path: order.run.path.with_file_name(&heir.id) };
    let lease = Lease::try_take(&directory.path).ok()??;
    if directory.events().exists() {
        return None;
    }
    // The plan's names are resolved in what a worker is told, and the two differ in nothing else.
    let mut resolved = RunSpec { id: heir.id.clone(), point: heir.point.clone(), ..spec.clone() };
    resolved.recipe.early_stopping = heir.recipe.early_stopping.clone();
    Some((resolved, directory, lease))
}

/// The same with another's work in the place of the training.
pub fn work_as(
    order: &Order,
    work: impl FnOnce(&RunSpec, &AtomicBool, &mut dyn FnMut(Event) -> anyhow::Result<()>) -> anyhow::Result<Ended>,
) -> anyhow::Result<i32> {
    let stop = signals::stop_flag(order.supervised)?;
    if order.supervised {
        stop_at_end_of_input(&stop);
    }
    // A worker whose parent was killed may still be saving its checkpoint.
    let lease = match Lease::wait_for(&order.run.path) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            log(&format!("{error}: the run is left to it"));
            return Ok(exit_code::INTERRUPTED);
        }
        lease => lease.context("cannot take the run's folder")?,
    };
    let spec = config::read_config(&order.run)?;
    let record = order.run.try_read_record(spec.clone())?;
    if record.status.is_some_and(Status::is_complete) {
        // That worker may have finished the run as well.
        log("finished already");
        return Ok(exit_code::DONE);
    }
    let attempt = record.attempts + 1;
    log(&format!("attempt {attempt} at {}", humantime::format_rfc3339_seconds(SystemTime::now())));
    let mut reporter = Reporter {
        lease,
        journal: Journal::open(&order.run.events(), attempt)?,
        echo: io::stdout(),
        stop: Arc::clone(&stop),
    };
    let ended = reporter.record(&order.run, &spec, |emit| work(&spec, &stop, emit))?;
    // Not before the end is recorded: a run that is killed between finds its way back to it.
    if is_final(ended.status)
        && let Err(error) = train::forget(&order.run)
    {
        log(&format!("warning: {error:#}"));
    }
    Ok(exit_code_of(ended.status))
}

/// Whether nothing would come of going on: the run has its result, or would diverge again.
pub fn is_final(status: Status) -> bool {
    status.is_complete() || status == Status::Diverged
}

/// The plan beside the run's folder; empty where there is none.
fn planned(order: &Order) -> Vec<RunSpec> {
    let sweep = order.run.path.parent().map(|folder| SweepDir { path: folder.to_owned() });
    sweep.and_then(|sweep| sweep.read_plan().ok()).unwrap_or_default()
}

/// Refuses settings that are not those that the plan has under the run's id: what they come to would be taken for the
/// result of others. Without a plan beside the run's folder there is nothing to compare with.
fn check_settings(order: &Order, plan: &[RunSpec], spec: &RunSpec) -> anyhow::Result<()> {
    let Some(planned) = plan.iter().find(|run| run.id == spec.id) else { return Ok(()) };
    if let Some((path, [planned, now])) = difference(&settings(planned)?, &settings(spec)?) {
        anyhow::bail!(
            "{}: {path} is {now}, but the plan has {planned} for the run {}\nhint: other settings are another run: \
             change the sweep's file and `sweep run` it, which also mends this file",
            order.run.config().display(),
            spec.id
        );
    }
    Ok(())
}

/// Makes one step and prints what it took.
pub fn try_one_step(order: &Order) -> anyhow::Result<i32> {
    if order.supervised {
        // One step leaves nothing half done.
        at_end_of_input(|| std::process::exit(exit_code::INTERRUPTED));
    }
    let spec = config::read_config(&order.run)?;
    let stop = AtomicBool::new(false);
    // What a step takes without the cache is the most that it takes.
    let measured = with_session(order, &spec, &stop, None, None, train::preflight)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(exit_code::DONE)
}

fn with_session<T>(
    order: &Order,
    spec: &RunSpec,
    stop: &AtomicBool,
    cache: Option<CacheUse>,
    heir: Option<Heir>,
    work: impl FnOnce(&Session) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    join_thread_pool(order.threads);
    let inputs = resolve(&spec.recipe, &order.runs)?;
    let (device, device_name) = train::open_device(&order.device)?;
    work(&Session {
        spec,
        inputs: &inputs,
        directory: &order.run,
        device,
        device_name,
        threads: order.threads,
        checkpoint_every: order.checkpoint_every,
        until_epoch: order.until_epoch,
        heir,
        cache,
        stop: &|| stop.load(Ordering::Relaxed),
    })
}

/// Makes the calling thread one of the global pool's, so that it works instead of waking others and waiting for
/// them at every operation. With one thread that spares a sixth of the time of a small model.
fn join_thread_pool(threads: usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).use_current_thread();
    // A pool that exists already computes the same, only slower.
    let _ = pool.build_global();
}

/// Writes to the log, which is standard error. A full disk is no reason to panic.
fn log(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn exit_code_of(status: Status) -> i32 {
    match status {
        status if status.is_complete() => exit_code::DONE,
        Status::Interrupted => exit_code::INTERRUPTED,
        _ => exit_code::FAILED,
    }
}

fn stop_at_end_of_input(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    at_end_of_input(move || stop.store(true, Ordering::SeqCst));
}

fn at_end_of_input(act: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        // The parent writes nothing: this returns when the pipe closes, and an error means no less.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        act();
    });
}

/// Takes events to the journal and to whoever started the worker.
struct Reporter<W> {
    /// The right to write to the journal.
    lease: Lease,
    journal: Journal,
    echo: W,
    stop: Arc<AtomicBool>,
}

impl<W: Write> Reporter<W> {
    fn emit(&mut self, event: Event) -> anyhow::Result<()> {
        if let Event::Started(started) = &event {
            started.notes.iter().for_each(|note| log(&format!("note: {note}")));
        }
        self.lease.check()?;
        let line = self.journal.append(event)?;
        let text = journal::encode(&line)?;
        if writeln!(self.echo, "{text}").and_then(|()| self.echo.flush()).is_err() {
            // Nobody listens: the parent is gone, and who started the sweep with it.
            self.stop.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Does the work and records how it ended.
    fn record(
        &mut self,
        run: &RunDir,
        spec: &RunSpec,
        work: impl FnOnce(&mut dyn FnMut(Event) -> anyhow::Result<()>) -> anyhow::Result<Ended>,
    ) -> anyhow::Result<Ended> {
        // What the work leaves half done when it panics is not looked at again.
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut |event| self.emit(event))));
        let failed = |status, reason: String| {
            let summary = summary_so_far(&run.read_record(spec.clone()));
            Ended { status, reason: Some(reason), summary }
        };
        let ended = match result {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) if error.is::<train::Stopped>() => {
                failed(Status::Interrupted, "stopped before there was anything to save".to_owned())
            }
            Ok(Err(error)) => {
                let words = format!("{error:#}");
                log(&format!("error: {words}"));
                match status_of_error(&words) {
                    Status::OutOfMemory => failed(Status::OutOfMemory, format!("{words}\n{LESS_MEMORY}")),
                    status => failed(status, words),
                }
            }
            // The panic has printed its message and place itself.
            Err(payload) => failed(Status::Failed, format!("panicked: {}", panic_words(payload.as_ref()))),
        };
        self.emit(Event::Ended(Box::new(ended.clone())))?;
        Ok(ended)
    }
}

fn panic_words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("for an unknown reason")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{evaluated, planned, started};

    type Emit<'a> = &'a mut dyn FnMut(Event) -> anyhow::Result<()>;

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Records a run that does this, and returns its end, its record and whether it was told to stop.
    fn record(
        echo: impl Write,
        work: impl FnOnce(Emit) -> anyhow::Result<Ended>,
    ) -> (Ended, crate::record::RunRecord, bool) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir { path: folder.path().to_owned() };
        let spec = planned("r1");
        let stop = Arc::new(AtomicBool::new(false));
        let journal = Journal::open(&run.events(), 1).unwrap();
        let lease = Lease::try_take(&run.path).unwrap().unwrap();
        let mut reporter = Reporter { lease, journal, echo, stop: Arc::clone(&stop) };
        let ended = reporter.record(&run, &spec, work).unwrap();
        (ended, run.read_record(spec), stop.load(Ordering::SeqCst))
    }

    fn evaluation(emit: Emit, epoch: usize, score: f64) {
        emit(Event::Evaluated(Box::new(evaluated(epoch, score)))).unwrap();
    }

    #[test]
    fn an_error_ends_the_run_with_its_causes_and_what_was_reached() {
        let mut echo = Vec::new();
        let (ended, record, stopped) = record(&mut echo, |emit| {
            emit(started("r1")).unwrap();
            evaluation(emit, 0, 0.1);
            evaluation(emit, 1, 0.4);
            evaluation(emit, 2, 0.3);
            Err(anyhow::anyhow!("disk on fire").context("cannot save"))
        });
        assert_eq!(record.status, Some(Status::Failed));
        assert_eq!(record.reason.as_deref(), Some("cannot save: disk on fire"));
        assert_eq!(record.summary, Some(ended.summary.clone()));
        assert_eq!(ended.summary.best.unwrap().epoch, 1);
        assert_eq!(String::from_utf8(echo).unwrap().lines().count(), 5);
        assert!(!stopped);
    }

    #[test]
    fn a_device_without_memory_ends_the_run_with_its_name_and_what_takes_less() {
        let (_, record, _) = record(Vec::new(), |emit| {
            emit(started("r1")).unwrap();
            anyhow::bail!("DriverError(CUDA_ERROR_OUT_OF_MEMORY)")
        });
        assert_eq!(record.status, Some(Status::OutOfMemory));
        let reason = record.reason.unwrap();
        assert_eq!(reason.lines().last(), Some(LESS_MEMORY), "{reason}");
    }

    #[test]
    fn a_panic_ends_the_run_with_its_message() {
        let (_, record, _) = record(Vec::new(), |emit| {
            emit(started("r1")).unwrap();
            panic!("{} is no epoch", 7)
        });
        assert_eq!(record.status, Some(Status::Failed));
        assert_eq!(record.reason.as_deref(), Some("panicked: 7 is no epoch"));
    }

    #[test]
    fn a_worker_that_nobody_listens_to_is_told_to_stop_and_still_keeps_its_journal() {
        let (_, record, stopped) = record(Closed, |emit| {
            emit(started("r1")).unwrap();
            evaluation(emit, 0, 0.1);
            anyhow::bail!("stop here")
        });
        assert!(stopped);
        assert_eq!(record.curve.len(), 1);
        assert_eq!(record.status, Some(Status::Failed));
    }

    #[test]
    fn exit_codes_tell_what_to_do_with_the_run() {
        let codes =
            [Status::Finished, Status::EarlyStopped, Status::Interrupted, Status::Diverged, Status::Failed];
        assert_eq!(codes.map(exit_code_of), [0, 0, 75, 42, 42]);
    }
}
