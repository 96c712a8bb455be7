//! A small server: a line about itself, and JSON about whoever is named.

use axum::{extract::Path, routing::get, Json, Router};
use serde_json::{json, Value};

async fn index() -> String {
    let greeting = if cfg!(feature = "loud") { "HELLO" } else { "Hello" };
    format!("{greeting} from {}\n", std::env::var("CC_APP_NAME").unwrap_or_default())
}

async fn person(Path(name): Path<String>) -> Json<Value> {
    Json(json!({ "name": name }))
}

#[tokio::main]
async fn main() {
    let app = Router::new()
        .route("/", get(index))
        .route("/people/{name}", get(person));
    let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await.expect("port 8080 is free");
    println!("listening on 8080");
    axum::serve(listener, app).await.expect("the server runs");
}
