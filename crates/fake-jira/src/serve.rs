//! The HTTP server: reads requests, authenticates the caller, applies faults, records requests, and writes answers.

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
    fault_answers,
    model::{BRIDGE, Flavour},
    oauth,
    operation::Operation,
    page,
    recorded::{Credentials, Recorded},
    route,
    state::State,
    time,
};

/// Makes hyper close the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped on purpose")]
struct Dropped;

/// The headers that show which account a request ran as.
const ACCOUNT_HEADERS: [&str; 3] = ["X-AAccountId", "X-AUSERNAME", "X-Seraph-LoginReason"];

/// How to answer a request once it was processed.
enum Outcome {
    Respond(Answer),
    Disconnect,
    Truncate(Answer),
    Delay(Duration, Answer),
    HoldBack(watch::Receiver<()>, Answer),
}

impl FakeJira {
    /// Serves on a free port of 127.0.0.1 until the runtime ends. Returns the base URL, with the context path.
    ///
    /// # Errors
    /// If it cannot bind a port.
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
            state.base_url = format!("http://{}{}", listener.local_addr()?, state.context_path);
            state.base_url.clone()
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
                // The caller may disconnect at any time.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let Ok(raw) = axum::body::to_bytes(Body::new(body), 10 << 20).await else {
            return Ok(self.respond(Answer::empty(413)));
        };
        let (context, has_client) = {
            let state = self.lock();
            (state.context_path.clone(), state.oauth.is_some())
        };
        let through_gateway = head.uri.path().strip_prefix(oauth::GATEWAY).filter(|_| has_client);
        let gateway = through_gateway.is_some();
        let Some(path) = through_gateway.or_else(|| head.uri.path().strip_prefix(context.as_str())) else {
            return Ok(self.respond(Answer::empty(404)));
        };
        let path = path.to_owned();
        let serves = |path: &str| path.starts_with("/rest/") || (has_client && oauth::serves(path));
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
        let mut call = Call {
            method: head.method.as_str().to_owned(),
            path,
            gateway,
            query: query.map(|q| q.0).unwrap_or_default(),
            english: english(&head.headers),
            headers: head.headers,
            json: serde_json::from_slice(&raw).ok(),
            account: None,
        };
        if !serves(&call.path) {
            let answer = page::answer(&self, &call);
            self.deliver();
            return Ok(self.respond(answer));
        }
        let outcome = process(&mut self.lock(), &mut call);
        self.deliver();
        match outcome {
            Outcome::Respond(answer) => Ok(self.respond(answer)),
            Outcome::Disconnect => Err(Dropped),
            Outcome::Delay(time, answer) => {
                tokio::time::sleep(time).await;
                Ok(self.respond(answer))
            }
            Outcome::HoldBack(mut released, answer) => {
                // Never fails: the sender lives as long as this Jira.
                released.changed().await.ok();
                self.lock().held_answers -= 1;
                Ok(self.respond(answer))
            }
            Outcome::Truncate(answer) => Ok(body::truncate(self.respond(answer)).await),
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

fn process(state: &mut State, call: &mut Call) -> Outcome {
    let (operation, path_params) = route::operation(state.flavour, &call.method, &call.path);
    let fault = fault::next(&mut state.faults, operation)
        // Jira has no XSRF check for GET.
        .filter(|fault| *fault != Fault::Xsrf || call.method != "GET");
    let (caller, credentials) = if call.gateway {
        oauth::caller(state, call.header("authorization"))
    } else {
        auth::caller(state, call.header("authorization"))
    };
    let canned = fault.as_ref().and_then(fault_answers::canned);
    let processed = !matches!(fault, Some(Fault::Dropped)) && canned.is_none();
    let mut answer = match canned {
        // Jira itself sends these answers, so they name the account.
        Some(answer)
            if fault.as_ref().is_some_and(fault_answers::names_account)
                && credentials == Credentials::Right =>
        {
            with_account_headers(state.flavour, Some(BRIDGE), answer)
        }
        Some(answer) => answer,
        None if !processed => Answer::empty(500),
        None => {
            let caller = match fault {
                Some(Fault::Anonymous) => Caller::Anonymous { failed: true },
                Some(Fault::Stranger) => Caller::Anonymous { failed: false },
                _ => caller,
            };
            run_as(state, call, operation, &path_params, caller)
        }
    };
    if state.account_headers_hidden || matches!(fault, Some(Fault::Stranger)) {
        answer.headers.retain(|(name, _)| !ACCOUNT_HEADERS.contains(name));
    }
    if let Some(complaint) = answer.complaint.take() {
        state.complaints.push(format!("{} {}: {complaint}", call.method, call.path));
    }
    if let Some(Fault::ActedBut(status)) = fault {
        answer = fault_answers::gateway_error(status);
    }
    state.answer_delayed = matches!(fault, Some(Fault::Slow(_) | Fault::Held | Fault::Trickle));
    let lost = matches!(fault, Some(Fault::LostAnswer | Fault::Dropped));
    state.requests.push(Recorded {
        operation,
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        headers: recorded_headers(&call.headers),
        credentials,
        body: call.json.clone().filter(|_| operation != Operation::AccessToken),
        status: (!lost).then_some(answer.status),
        at: state.time.now(),
    });
    match fault {
        Some(Fault::LostAnswer | Fault::Dropped) => Outcome::Disconnect,
        Some(Fault::Cut) => Outcome::Truncate(answer),
        Some(Fault::Slow(time)) => Outcome::Delay(time, answer),
        Some(Fault::Held) => {
            state.held_answers += 1;
            Outcome::HoldBack(state.released.subscribe(), answer)
        }
        _ => Outcome::Respond(answer),
    }
}

/// Authorizes the caller and runs the operation.
fn run_as(
    state: &mut State,
    call: &mut Call,
    operation: Operation,
    path_params: &[String],
    caller: Caller,
) -> Answer {
    let failed = match caller {
        Caller::Rejected(answer) => return answer,
        Caller::Account(account) => {
            call.account = Some(account);
            false
        }
        Caller::Anonymous { failed } => failed,
    };
    let answer = match check_protocol(call, operation) {
        Err(answer) => answer,
        Ok(()) => route::run(state, call, operation, path_params).unwrap_or_else(|error| error),
    };
    let answer =
        if failed { answer.with_header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED") } else { answer };
    with_account_headers(state.flavour, call.account, answer)
}

/// Adds the headers that show which account the request ran as.
fn with_account_headers(flavour: Flavour, account: Option<&str>, answer: Answer) -> Answer {
    match (flavour, account) {
        (Flavour::Cloud, Some(account)) => answer.with_header("X-AAccountId", account),
        (Flavour::Cloud, None) => answer,
        (Flavour::DataCenter, Some(_)) => answer
            .with_header("X-AUSERNAME", "flagger-bridge")
            .with_header("X-Seraph-LoginReason", "OK")
            .with_header("X-RateLimit-Limit", "50")
            .with_header("X-RateLimit-Remaining", "49")
            .with_header("Retry-After", "0"),
        (Flavour::DataCenter, None) => answer.with_header("X-AUSERNAME", "anonymous"),
    }
}

/// The checks of method, headers and body that Jira makes before it runs the operation.
fn check_protocol(call: &Call, operation: Operation) -> Result<(), Answer> {
    if operation == Operation::Unknown || call.method == "GET" {
        return Ok(());
    }
    let agent = call.header("user-agent").unwrap_or_default();
    if ["Mozilla/", "Opera/"].iter().any(|browser| agent.contains(browser)) {
        return Err(fault_answers::xsrf_failure().with_complaint("the User-Agent is a browser's"));
    }
    let media = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if media.split(';').next().map(str::trim) != Some("application/json") {
        return Err(
            Answer::empty(415).with_complaint(format!("Content-Type is {media:?}, not application/json"))
        );
    }
    if call.json.is_none() {
        return Err(Answer::invalid(
            "There was an error parsing JSON. Check that your request body is valid.",
        ));
    }
    Ok(())
}

fn recorded_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let recorded =
        headers.iter().filter(|(name, _)| name.as_str() != "authorization" && name.as_str() != "cookie");
    recorded
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
