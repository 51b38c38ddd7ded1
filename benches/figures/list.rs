//! List, page, get and home page at 100,000 deployments against the same at 100: same principal, same sort.

use crate::Figure;
use crate::fill::fill;
use crate::house::House;
use crate::load::one_by_one;
use crate::probe::get;
use crate::stats::ratio;

const TIMES: usize = 300;

async fn filled(count: usize) -> (tempfile::TempDir, House) {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::at(dir.path()).await;
    house.stop(true);
    fill(dir.path(), count).await;
    house.start();
    (dir, house)
}

async fn pages_deep(house: &House, deep: usize) -> String {
    let mut path = "/api/v1/deployments?limit=50".to_owned();
    for _ in 0..deep {
        let url = format!("http://{}{path}", house.address);
        let response = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
        let link = response.headers()["link"].to_str().unwrap().to_owned();
        let target = link.split(['<', '>']).nth(1).unwrap();
        path = target[target.find("/api/").unwrap()..].to_owned();
    }
    path
}

pub async fn figures() -> Vec<Figure> {
    let (_few, few) = filled(100).await;
    let (_many, many) = filled(100_000).await;
    let mut rows = Vec::new();
    let cases = [
        ("list of 50", "/api/v1/deployments?limit=50".to_owned(), "/api/v1/deployments?limit=50".to_owned()),
        (
            "list of 50 by health",
            "/api/v1/deployments?limit=50&sort=health".to_owned(),
            "/api/v1/deployments?limit=50&sort=health".to_owned(),
        ),
        (
            "list of 50 by last save",
            "/api/v1/deployments?limit=50&sort=updated".to_owned(),
            "/api/v1/deployments?limit=50&sort=updated".to_owned(),
        ),
        ("get", "/api/v1/deployments/many-000050".to_owned(), "/api/v1/deployments/many-050000".to_owned()),
        ("the console's home page", "/".to_owned(), "/".to_owned()),
    ];
    for (name, small, large) in cases {
        let (reference, value) = both(&few, &small, &many, &large).await;
        rows.push(figure(format!("{name} at 100,000"), value, reference, "<= 1.25 x itself at 100"));
    }
    let deep = pages_deep(&many, 200).await;
    let (first, value) = both(&many, "/api/v1/deployments?limit=50", &many, &deep).await;
    rows.push(figure("page 201 at 100,000, against its first".into(), value, first, "<= 1.5 x"));
    rows
}

async fn both(one: &House, path: &str, other: &House, other_path: &str) -> (f64, f64) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        first.push(one_by_one(one.address, &get(one, path), TIMES / 5).await);
        second.push(one_by_one(other.address, &get(other, other_path), TIMES / 5).await);
    }
    (crate::stats::median(first), crate::stats::median(second))
}

fn figure(name: String, value: f64, reference: f64, aim: &'static str) -> Figure {
    Figure {
        name,
        value: format!("{:.2} ms", value),
        reference: format!("{:.2} ms", reference),
        ratio: ratio(value, reference),
        aim,
    }
}
