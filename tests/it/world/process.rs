//! A process of the bridge, simulated by a runtime on its own thread, so that a test can kill it at any step.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use flagger_jira_bridge::{
    clock::Clock,
    config::Config,
    serve::{Bridge, Listeners},
    worker::Worker,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;

type JobFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Job = Box<dyn FnOnce(Arc<Worker>) -> JobFuture + Send>;

/// A running bridge. Its worker does nothing by itself: see [`Process::run_on_worker`].
pub(crate) struct Process {
    /// The addresses of its listeners: gate, webhook, admin, page.
    pub(crate) addresses: [String; 4],
    jobs: mpsc::UnboundedSender<Job>,
    kill: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Process {
    /// Starts a process that sends its events to `dispatch`. `None` if it was killed, through `kill`, before it was
    /// ready.
    pub(crate) async fn start(
        config: Config,
        clock: Clock,
        dispatch: Dispatch,
        kill: CancellationToken,
    ) -> Option<Self> {
        let (ready, addresses) = oneshot::channel();
        let (jobs, todo) = mpsc::unbounded_channel();
        let killed = kill.clone();
        let thread = std::thread::spawn(move || {
            let _guard = tracing::dispatcher::set_default(&dispatch);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // In a task, so that its panic does not unwind this thread before the runtime is dropped.
                let serving = tokio::spawn(serve(config, clock, ready, todo));
                tokio::select! {
                    () = killed.cancelled() => {}
                    ended = serving => assert!(killed.is_cancelled(), "the bridge could not start: {ended:?}"),
                }
            });
            // Here the runtime is dropped, with every task, socket and connection.
        });
        let thread = Mutex::new(Some(thread));
        match addresses.await {
            Ok(addresses) => Some(Self { addresses, jobs, kill, thread }),
            Err(_) => {
                let ended = thread.into_inner().unwrap().unwrap().join();
                assert!(ended.is_ok() && kill.is_cancelled(), "the bridge could not start");
                None
            }
        }
    }

    /// Runs a step with its worker. `None` if the process was killed before or meanwhile.
    pub(crate) async fn run_on_worker<F, T>(
        &self,
        step: impl FnOnce(Arc<Worker>) -> F + Send + 'static,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send,
        T: Send + 'static,
    {
        let (send, result) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            Box::pin(async move {
                // When the test is over, the receiver is gone.
                let _ = send.send(step(worker).await);
            })
        });
        // If the process is gone, `result` fails as well.
        let _ = self.jobs.send(job);
        let done = result.await.ok();
        assert!(done.is_some() || self.is_killed(), "the bridge panicked");
        done
    }

    /// Whether it was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.kill.is_cancelled()
    }

    /// Kills it, as `kill -9` would, and waits until its thread has ended.
    pub(crate) fn kill(&self) {
        self.kill.cancel();
        let thread = self.thread.lock().unwrap().take();
        if let Some(thread) = thread {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the bridge panicked");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(
    config: Config,
    clock: Clock,
    ready: oneshot::Sender<[String; 4]>,
    mut todo: mpsc::UnboundedReceiver<Job>,
) {
    let bridge = Bridge::new(config, clock).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [gate, webhook, admin, page] = [bind().await, bind().await, bind().await, bind().await];
    let addresses =
        [&gate, &webhook, &admin, &page].map(|listener| listener.local_addr().unwrap().to_string());
    let listeners = Listeners { gate, webhook, admin, page: Some(page) };
    bridge.listen(listeners, &stop, &mut tasks).unwrap();
    let worker = Arc::new(bridge.open(&stop).await.unwrap().unwrap());
    if ready.send(addresses).is_err() {
        return;
    }
    while let Some(job) = todo.recv().await {
        drop(tokio::spawn(job(Arc::clone(&worker))));
    }
    // The test is over.
    std::future::pending().await
}
