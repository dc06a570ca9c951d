//! A browser that a test controls: headless Chromium, through chromedriver and WebDriver's HTTP interface.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than the refresh interval of any page.
const DEADLINE: Duration = Duration::from_secs(40);
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// The key under which WebDriver returns elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// WebDriver's code points of special keys.
pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";

/// Whether pages may run scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    Run,
    Off,
}

/// A browser with one window. It ends when it is dropped.
pub(super) struct Browser {
    http: reqwest::Client,
    driver: Child,
    /// Kept open, so that the driver can continue to write.
    _stdout: BufReader<ChildStdout>,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(super) async fn start(scripts: Scripts) -> Self {
        // Another process may take the port that chromedriver chose before it listens.
        let mut tries = (0..5).filter_map(|_| started());
        let (driver, stdout, port) = tries.next().expect("chromedriver starts");
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        // 2 means blocked.
        let preferences = match scripts {
            Scripts::Run => json!({}),
            Scripts::Off => json!({ "profile.managed_default_content_settings.javascript": 2 }),
        };
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        let mut browser = Self {
            http,
            driver,
            _stdout: stdout,
            address: format!("127.0.0.1:{port}"),
            session: String::new(),
            _profile: profile,
        };
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.asks("POST", "session", Some(wanted)).await.unwrap();
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser.sized(1280, 800).await;
        browser
    }

    /// Sends a request to the driver. The value of its answer or error.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    async fn asks(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Value> {
        let url = format!("http://{}/{path}", self.address);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let good = response.status().is_success();
        let mut answer: Value = response.json().await.unwrap();
        let value = answer["value"].take();
        if good { Ok(value) } else { Err(value) }
    }

    async fn tries(&self, method: &str, command: &str, body: Option<Value>) -> Result<Value, Value> {
        self.asks(method, &format!("session/{}/{command}", self.session), body).await
    }

    async fn gets(&self, command: &str) -> Value {
        self.tries("GET", command, None).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn posts(&self, command: &str, body: Value) -> Value {
        self.tries("POST", command, Some(body)).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub(super) async fn goes(&self, url: &str) {
        self.posts("url", json!({ "url": url })).await;
    }

    pub(super) async fn url(&self) -> String {
        self.gets("url").await.as_str().unwrap().to_owned()
    }

    pub(super) async fn title(&self) -> String {
        self.gets("title").await.as_str().unwrap().to_owned()
    }

    pub(super) async fn goes_back(&self) {
        self.posts("back", json!({})).await;
    }

    /// Opens a second window and switches to it. Returns the first.
    pub(super) async fn opens_window(&self) -> Value {
        let first = self.gets("window").await;
        let second = self.posts("window/new", json!({ "type": "tab" })).await;
        self.posts("window", json!({ "handle": second["handle"] })).await;
        self.sized(1280, 900).await;
        first
    }

    /// Closes the current window and switches back to the first.
    pub(super) async fn closes_window(&self, first: Value) {
        self.tries("DELETE", "window", None).await.unwrap();
        self.posts("window", json!({ "handle": first })).await;
    }

    /// The element, if it exists.
    async fn found(&self, css: &str) -> Option<String> {
        let found =
            self.tries("POST", "element", Some(json!({ "using": "css selector", "value": css }))).await;
        found.ok().map(|element| element[ELEMENT].as_str().unwrap().to_owned())
    }

    async fn finds(&self, css: &str) -> String {
        self.found(css).await.unwrap_or_else(|| panic!("there is no {css}"))
    }

    /// The number of matching elements.
    pub(super) async fn count(&self, css: &str) -> usize {
        let all = self.posts("elements", json!({ "using": "css selector", "value": css })).await;
        all.as_array().unwrap().len()
    }

    /// The element's text; empty if it does not exist.
    pub(super) async fn reads(&self, css: &str) -> String {
        let Some(element) = self.found(css).await else { return String::new() };
        // The page may have replaced it by a refresh.
        let text = self.tries("GET", &format!("element/{element}/text"), None).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    pub(super) async fn clicks(&self, css: &str) {
        let element = self.finds(css).await;
        self.posts(&format!("element/{element}/click"), json!({})).await;
    }

    /// Types into a field.
    pub(super) async fn types(&self, css: &str, text: &str) {
        let element = self.finds(css).await;
        self.posts(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// Presses a key in the focused element.
    pub(super) async fn presses(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.posts("actions", keyboard).await;
    }

    /// The role and name of an element, as assistive technology gets them.
    pub(super) async fn role_and_name(&self, css: &str) -> (String, String) {
        let element = self.finds(css).await;
        let role = self.gets(&format!("element/{element}/computedrole")).await;
        let label = self.gets(&format!("element/{element}/computedlabel")).await;
        (role.as_str().unwrap().to_owned(), label.as_str().unwrap().trim().to_owned())
    }

    /// Runs a script of the test: the body of a function.
    pub(super) async fn runs(&self, script: &str) -> Value {
        self.posts("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The browser's log since the last call.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.posts("se/log", json!({ "type": "browser" })).await;
        log.as_array().unwrap().iter().map(|it| it["message"].as_str().unwrap().to_owned()).collect()
    }

    async fn commands(&self, command: &str, parameters: Value) -> Value {
        self.posts("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Sets the window's size, also to the size of a phone.
    pub(super) async fn sized(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.commands("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sets the preferred color scheme: `light` or `dark`.
    pub(super) async fn prefers(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.commands("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Saves a screenshot.
    pub(super) async fn saves_screenshot(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        fs::create_dir_all(&folder).unwrap();
        let picture = self.gets("screenshot").await;
        fs::write(folder.join(format!("{name}.png")), bytes(picture.as_str().unwrap())).unwrap();
    }

    /// Waits until a condition holds.
    pub(super) async fn waits(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !holds().await {
            let text = async || self.reads("body").await;
            assert!(Instant::now() < until, "never: {what}:\n{}", text().await);
            sleep(LOOKS_EVERY).await;
        }
    }

    /// Waits until the element contains these words.
    pub(super) async fn waits_for(&self, css: &str, words: &str) {
        self.waits(&format!("{css} says {words:?}"), async || self.reads(css).await.contains(words)).await;
    }
}

/// A driver, its standard output and its port; `None` if it ended.
fn started() -> Option<(Child, BufReader<ChildStdout>, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian's chromium-driver is installed; .ci/browser does that");
    let mut says = BufReader::new(driver.stdout.take().unwrap());
    let mut line = String::new();
    while says.read_line(&mut line).unwrap() > 0 {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            let port = port.trim().trim_end_matches('.').to_owned();
            return Some((driver, says, port));
        }
        line.clear();
    }
    driver.wait().unwrap();
    None
}

impl Drop for Browser {
    /// Deletes the session, because Chromium ends with its session, not with its driver.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(&self.address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = write!(
                stream,
                "DELETE /session/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.session, self.address
            );
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Decodes Base64.
fn bytes(base64: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is not Base64"),
    };
    let letters: Vec<u8> = base64.trim_end_matches('=').bytes().map(value).collect();
    let mut bytes = Vec::with_capacity(letters.len());
    for four in letters.chunks(4) {
        let whole =
            four.iter().enumerate().fold(0, |whole, (at, six)| whole | u32::from(*six) << (18 - 6 * at));
        bytes.extend_from_slice(&whole.to_be_bytes()[1..four.len()]);
    }
    bytes
}

#[test]
fn base64_is_read() {
    for (text, expected) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")]
    {
        assert_eq!(bytes(text), expected.as_bytes());
    }
    assert_eq!(bytes("+/8A"), [0xfb, 0xff, 0x00]);
}
