//! The bridge as one process runs it: a runtime on a thread of its own, so that it can be killed between any two lines
//! and nothing of it runs on.

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

type Doing = Pin<Box<dyn Future<Output = ()> + Send>>;
type Job = Box<dyn FnOnce(Arc<Worker>) -> Doing + Send>;

/// A running bridge. Its worker does nothing by itself: see [`Process::does`].
pub(crate) struct Process {
    /// Where it listens: gate, webhook, admin.
    pub(crate) addresses: [String; 3],
    jobs: mpsc::UnboundedSender<Job>,
    dead: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Process {
    /// Starts one whose events go to `dispatch`. None if it was killed, through `dead`, before it was ready.
    pub(crate) async fn start(
        config: Config,
        clock: Clock,
        dispatch: Dispatch,
        dead: CancellationToken,
    ) -> Option<Self> {
        let (ready, addresses) = oneshot::channel();
        let (jobs, todo) = mpsc::unbounded_channel();
        let killed = dead.clone();
        let thread = std::thread::spawn(move || {
            let _guard = tracing::dispatcher::set_default(&dispatch);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A task of its own: a panic in it must not be one of this thread before all else is dropped.
                let serving = tokio::spawn(serve(config, clock, ready, todo));
                tokio::select! {
                    () = killed.cancelled() => {}
                    ended = serving => assert!(killed.is_cancelled(), "the bridge could not start: {ended:?}"),
                }
            });
            // Here the runtime goes, and with it every task, socket and connection.
        });
        let thread = Mutex::new(Some(thread));
        match addresses.await {
            Ok(addresses) => Some(Self { addresses, jobs, dead, thread }),
            Err(_) => {
                let ended = thread.into_inner().unwrap().unwrap().join();
                assert!(ended.is_ok() && dead.is_cancelled(), "the bridge could not start");
                None
            }
        }
    }

    /// Lets its worker do something. None if it was killed meanwhile, or before.
    pub(crate) async fn does<F, T>(&self, step: impl FnOnce(Arc<Worker>) -> F + Send + 'static) -> Option<T>
    where
        F: Future<Output = T> + Send,
        T: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            Box::pin(async move {
                // Nobody waits for the answer when the test is over.
                let _ = tell.send(step(worker).await);
            })
        });
        // If nobody takes it the answer does not come either.
        let _ = self.jobs.send(job);
        let done = told.await.ok();
        assert!(done.is_some() || self.is_dead(), "the bridge panicked");
        done
    }

    /// Whether it was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Kills it, as `kill -9` would, and sees to it that it is gone.
    pub(crate) fn kill(&self) {
        self.dead.cancel();
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
    ready: oneshot::Sender<[String; 3]>,
    mut todo: mpsc::UnboundedReceiver<Job>,
) {
    let bridge = Bridge::new(config, clock).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listeners = Listeners { gate: bind().await, webhook: bind().await, admin: bind().await };
    let addresses = [&listeners.gate, &listeners.webhook, &listeners.admin]
        .map(|listener| listener.local_addr().unwrap().to_string());
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
