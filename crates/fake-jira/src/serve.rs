//! The HTTP side: reading requests, deciding who asks, faults, recording, and writing answers.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch};

use super::{
    answer::{Answer, Content},
    auth::{self, Caller},
    body::{self, Flood, Trickle},
    call::{Call, english},
    fake::FakeJira,
    fault::{self, Fault},
    faults,
    model::{BRIDGE, Flavour},
    operation::Operation,
    page,
    recorded::{Credentials, Recorded},
    route,
    state::State,
    time,
};

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped on purpose")]
struct Dropped;

/// The headers that say whom a request ran as.
const NAMING: [&str; 3] = ["X-AAccountId", "X-AUSERNAME", "X-Seraph-LoginReason"];

/// What happens once the request was acted on.
enum Then {
    Answer(Answer),
    Drop,
    Cut(Answer),
    Wait(Duration, Answer),
    Hold(watch::Receiver<()>, Answer),
}

impl FakeJira {
    /// Listens on a free port of 127.0.0.1 and serves until the runtime ends. Returns the base URL, with the context path.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(&self) -> std::io::Result<String> {
        self.start_on(TcpListener::bind("127.0.0.1:0").await?)
    }

    /// Serves on this listener until the runtime ends. Returns the base URL, with the context path.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start_on(&self, listener: TcpListener) -> std::io::Result<String> {
        let base = {
            let mut state = self.lock();
            state.base = format!("http://{}{}", listener.local_addr()?, state.context);
            state.base.clone()
        };
        tokio::spawn(self.clone().accept(listener));
        Ok(base)
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let fake = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| fake.clone().handle(request));
                // A caller that goes away is no concern of Jira's.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let Ok(raw) = axum::body::to_bytes(Body::new(body), 10 << 20).await else {
            return Ok(self.respond(Answer::empty(413)));
        };
        let context = self.lock().context.clone();
        let Some(path) = head.uri.path().strip_prefix(context.as_str()).map(str::to_owned) else {
            return Ok(self.respond(Answer::empty(404)));
        };
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
        let mut call = Call {
            method: head.method.as_str().to_owned(),
            path,
            query: query.map(|q| q.0).unwrap_or_default(),
            english: english(&head.headers),
            headers: head.headers,
            json: serde_json::from_slice(&raw).ok(),
            who: None,
        };
        if !call.path.starts_with("/rest/") {
            let answer = page::answer(self.clone(), &call);
            self.deliver();
            return Ok(self.respond(answer));
        }
        let then = act(&mut self.lock(), &mut call);
        self.deliver();
        match then {
            Then::Answer(answer) => Ok(self.respond(answer)),
            Then::Drop => Err(Dropped),
            Then::Wait(time, answer) => {
                tokio::time::sleep(time).await;
                Ok(self.respond(answer))
            }
            Then::Hold(mut released, answer) => {
                // The sender lives as long as this Jira.
                released.changed().await.ok();
                self.lock().held -= 1;
                Ok(self.respond(answer))
            }
            Then::Cut(answer) => Ok(body::cut(self.respond(answer)).await),
        }
    }

    fn respond(&self, answer: Answer) -> Response<Body> {
        let date = {
            let state = self.lock();
            time::http_date(state.time.now().saturating_add(state.date_skew))
        };
        let mut response = Response::builder().status(answer.status).header("Date", date);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        let response = match answer.content {
            Content::Empty => response.body(Body::empty()),
            Content::Json(value) => response
                .header("Content-Type", "application/json;charset=UTF-8")
                .body(Body::from(value.to_string())),
            Content::Text(media, text) => response.header("Content-Type", media).body(Body::from(text)),
            Content::Flood => response
                .header("Content-Type", "application/json;charset=UTF-8")
                .header("Content-Length", Flood::LENGTH)
                .body(Body::new(Flood::new(self.clone()))),
            Content::Trickle => response
                .header("Content-Type", "application/json;charset=UTF-8")
                .body(Body::new(Trickle::default())),
        };
        response.unwrap_or_default()
    }
}

fn act(state: &mut State, call: &mut Call) -> Then {
    let (operation, named) = route::operation(state.flavour, &call.method, &call.path);
    let fault = fault::take(&mut state.faults, operation)
        // Jira does not check what only reads.
        .filter(|fault| *fault != Fault::Xsrf || call.method != "GET");
    let (caller, credentials) = auth::caller(state, call.header("authorization"));
    let instead = fault.as_ref().and_then(faults::instead);
    let acted = !matches!(fault, Some(Fault::Dropped)) && instead.is_none();
    let mut answer = match instead {
        // These come from Jira itself: they prove who asked, and nothing else.
        Some(answer)
            if fault.as_ref().is_some_and(faults::is_signed) && credentials == Credentials::Right =>
        {
            identify(state.flavour, Some(BRIDGE), answer)
        }
        Some(answer) => answer,
        None if !acted => Answer::empty(500),
        None => {
            let caller = match fault {
                Some(Fault::Anonymous) => Caller::Anonymous { failed: true },
                Some(Fault::Stranger) => Caller::Anonymous { failed: false },
                _ => caller,
            };
            ask(state, call, operation, &named, caller)
        }
    };
    if state.account_headers_hidden || matches!(fault, Some(Fault::Stranger)) {
        answer.headers.retain(|(name, _)| !NAMING.contains(name));
    }
    if let Some(complaint) = answer.complaint.take() {
        state.complaints.push(format!("{} {}: {complaint}", call.method, call.path));
    }
    if let Some(Fault::ActedBut(status)) = fault {
        answer = faults::gateway(status);
    }
    state.silent = matches!(fault, Some(Fault::Slow(_) | Fault::Held | Fault::Trickle));
    let lost = matches!(fault, Some(Fault::LostAnswer | Fault::Dropped));
    state.requests.push(Recorded {
        operation,
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        headers: headers(&call.headers),
        credentials,
        body: call.json.clone(),
        status: (!lost).then_some(answer.status),
        at: state.time.now(),
    });
    match fault {
        Some(Fault::LostAnswer | Fault::Dropped) => Then::Drop,
        Some(Fault::Cut) => Then::Cut(answer),
        Some(Fault::Slow(time)) => Then::Wait(time, answer),
        Some(Fault::Held) => {
            state.held += 1;
            Then::Hold(state.released.subscribe(), answer)
        }
        _ => Then::Answer(answer),
    }
}

/// Runs the operation as the caller.
fn ask(state: &mut State, call: &mut Call, operation: Operation, named: &[String], caller: Caller) -> Answer {
    let failed = match caller {
        Caller::Refused(answer) => return answer,
        Caller::Known(who) => {
            call.who = Some(who);
            false
        }
        Caller::Anonymous { failed } => failed,
    };
    let answer = match protocol(call, operation) {
        Err(answer) => answer,
        Ok(()) => route::perform(state, call, operation, named).unwrap_or_else(|early| early),
    };
    let answer = if failed { answer.with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED") } else { answer };
    identify(state.flavour, call.who, answer)
}

/// Says in the headers whom a request ran as.
fn identify(flavour: Flavour, who: Option<&str>, answer: Answer) -> Answer {
    match (flavour, who) {
        (Flavour::Cloud, Some(who)) => answer.with("X-AAccountId", who),
        (Flavour::Cloud, None) => answer,
        (Flavour::DataCenter, Some(_)) => answer
            .with("X-AUSERNAME", "flagger-bridge")
            .with("X-Seraph-LoginReason", "OK")
            .with("X-RateLimit-Limit", "50")
            .with("X-RateLimit-Remaining", "49")
            .with("Retry-After", "0"),
        (Flavour::DataCenter, None) => answer.with("X-AUSERNAME", "anonymous"),
    }
}

/// What Jira insists on before it looks at the request.
fn protocol(call: &Call, operation: Operation) -> Result<(), Answer> {
    if operation == Operation::Unknown || call.method == "GET" {
        return Ok(());
    }
    let agent = call.header("user-agent").unwrap_or_default();
    if ["Mozilla/", "Opera/"].iter().any(|browser| agent.contains(browser)) {
        return Err(faults::xsrf().blame("a browser's User-Agent"));
    }
    let media = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if media.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Answer::empty(415).blame(format!("Content-Type is {media:?}, not application/json")));
    }
    if call.json.is_none() {
        return Err(Answer::wrong("There was an error parsing JSON. Check that your request body is valid."));
    }
    Ok(())
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown =
        headers.iter().filter(|(name, _)| name.as_str() != "authorization" && name.as_str() != "cookie");
    shown
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
