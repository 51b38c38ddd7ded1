//! The deployments page, 50 rows, signed in, 16 clients: against a bare actix + askama + rusqlite page of that size.

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use askama::Template;
use secrecy::ExposeSecret as _;

use crate::Figure;
use crate::fill::fill;
use crate::house::House;
use crate::load::run;
use crate::stats::{median, p99, ratio};

const CLIENTS: usize = 16;
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

#[derive(Template)]
#[template(
    source = "<!doctype html><title>Rows</title><table>{% for row in rows %}<tr><td><a href=\"/d/{{ row.0 }}\">{{ row.0 }}</a></td><td>{{ row.1 }}</td><td>{{ row.2 }}</td><td>{{ row.3 }}</td></tr>{% endfor %}</table><!--{{ padding }}-->",
    ext = "html"
)]
struct Bare<'a> {
    rows: &'a [(String, String, String, i64)],
    padding: &'a str,
}

/// Reads 50 rows from SQLite and renders them; padded to the size of our page.
async fn bare(path: web::Data<(std::path::PathBuf, String)>) -> HttpResponse {
    thread_local! {
        static DB: std::cell::RefCell<Option<rusqlite::Connection>> = const { std::cell::RefCell::new(None) };
    }
    let rows = DB.with_borrow_mut(|db| {
        let db = db.get_or_insert_with(|| rusqlite::Connection::open(&path.0).unwrap());
        let mut statement = db
            .prepare_cached("SELECT id, project, version, updated_at FROM deployment ORDER BY id LIMIT 50")
            .unwrap();
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap()
    });
    let page = Bare { rows: &rows, padding: &path.1 };
    HttpResponse::Ok().content_type("text/html").body(page.render().unwrap())
}

/// A session's cookie, made beside the running server.
async fn cookie(house: &House) -> String {
    use slipway::auth::session::Begin;
    let dir = house.dir.clone();
    let instance = slipway::instance::Instance::open(slipway::instance::Options {
        dir: &dir,
        mode: slipway::store::Mode::Beside,
        clock: std::sync::Arc::new(slipway::domain::clock::SystemClock),
        rules: slipway::app::Rules::default(),
        lifetimes: slipway::auth::Lifetimes::default(),
        archive_limits: slipway::blob::Limits::default(),
        local_engine: slipway::domain::infrastructure::EngineConnection::Fake {},
        engines: Box::new(|_, _| Box::new(|_| unreachable!("no engine is asked"))),
    })
    .await
    .unwrap();
    let new = slipway::auth::local::NewLocal {
        username: "bench".into(),
        name: "Bench".into(),
        password: "for the bench alone".to_owned().into(),
        groups: [slipway::domain::name::GroupName::parse("admins").unwrap()].into(),
    };
    let caller = slipway::domain::access::Caller::system();
    let user = instance.auth.create_local(&caller, new).await.unwrap();
    let begin = Begin {
        user: user.id,
        provider: None,
        user_agent: "bench".into(),
        address: "127.0.0.1".into(),
        replaces: None,
    };
    format!("slipway={}", instance.auth.begin_session(begin).await.unwrap().expose_secret())
}

pub async fn figures() -> Vec<Figure> {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::at(dir.path()).await;
    house.stop(true);
    fill(dir.path(), 50).await;
    house.start();
    let request = format!(
        "GET /deployments HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nCookie: {}\r\n\r\n",
        house.address,
        cookie(&house).await
    );
    let size = {
        let stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
        let (status, body) = crate::raw::Connection::new(stream).exchange(request.as_bytes()).await;
        assert_eq!(status, 200);
        assert!(String::from_utf8_lossy(&body).contains("many-000049"), "not all 50 rows are on the page");
        body.len()
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let database = dir.path().join("slipway.db");
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let padding = "x".repeat(size.saturating_sub(5_500));
            let data = web::Data::new((database, padding));
            let server =
                HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(bare)))
                    .workers(2)
                    .disable_signals()
                    .listen(listener)
                    .unwrap()
                    .run();
            ready.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    let bare_server = is_ready.recv().unwrap();
    let plain = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (mut ours, mut theirs, mut slow) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let outcome = run(house.address, &request, CLIENTS, TIME).await;
        ours.push(outcome.rate);
        slow.push(p99(outcome.took));
        theirs.push(run(address, &plain, CLIENTS, TIME).await.rate);
    }
    bare_server.stop(false).await;
    let (ours, theirs) = (median(ours), median(theirs));
    vec![
        Figure {
            name: format!("deployments page, 50 rows ({} kB), 16 clients", size / 1024),
            value: format!("{ours:.0}/s"),
            reference: format!("{theirs:.0}/s"),
            ratio: ratio(ours, theirs),
            aim: ">= 0.3 x, >= 3,000/s",
        },
        Figure {
            name: "deployments page, p99".into(),
            value: format!("{:.1} ms", median(slow)),
            reference: String::new(),
            ratio: String::new(),
            aim: "<= 20 ms",
        },
    ]
}
