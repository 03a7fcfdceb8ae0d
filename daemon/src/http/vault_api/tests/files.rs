//! Uploads, downloads, attachments.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, header};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Api, MAX_FILE, ROOT, T0, coded, not_found, wrong};

const UPLOAD: &str = "/vault/v/api/storage/upload";
const FORM: &str = "multipart/form-data; boundary=xx";

/// A form with one file.
fn form(name: &str, kind: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--xx\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nignored\r\n\
         --xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n{kind}\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--xx--\r\n"].concat()
}

impl Api {
    async fn answer(&self, request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, headers, body.to_vec())
    }

    async fn upload(&self, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let request = Request::post(UPLOAD).header(header::CONTENT_TYPE, kind);
        let (status, _, body) = self.answer(request.body(body.into()).unwrap()).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Stores a file and answers its path.
    async fn stored(&self, name: &str, bytes: &[u8]) -> String {
        let (status, body) = self.upload(FORM, form(name, "", bytes)).await;
        assert_eq!(status, 201, "{body}");
        body["path"].as_str().unwrap().to_owned()
    }

    async fn download(&self, path: &str) -> (u16, HeaderMap, Vec<u8>) {
        let request = Request::get(format!("/vault/v/api/storage/{path}"));
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    async fn post_to(&self, uri: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw("POST", uri, body.to_string()).await;
        (status.as_u16(), body)
    }

    /// Files whose bytes are there.
    fn kept(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("v.db-files")).unwrap().count()
    }
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down_byte_for_byte() {
    let api = Api::new();
    let bytes: Vec<u8> = (0..MAX_FILE).map(|n| n.to_le_bytes()[0]).collect();
    let name = "Müller \\\"1\\\".PDF";
    let (status, told) = api.upload(FORM, form(name, "", &bytes)).await;
    let path = told["path"].as_str().unwrap();
    assert!(path.starts_with("1970-01-01/") && path.ends_with(".pdf"), "{path}");
    let expected = json!({
        "path": path, "size": MAX_FILE, "mimeType": "application/pdf", "filename": told["filename"]
    });
    assert_eq!((status, &told), (201, &expected));
    assert!(told["filename"].as_str().unwrap().starts_with("Müller"), "{told}");

    // Clients send the path with its slash as it is or encoded.
    for path in [path.to_owned(), path.replace('/', "%2F")] {
        let (status, headers, body) = api.download(&path).await;
        assert_eq!((status, body == bytes), (200, true), "{path}");
        let text = |name: header::HeaderName| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text(header::CONTENT_TYPE), "application/pdf");
        assert_eq!(text(header::CONTENT_LENGTH), MAX_FILE.to_string());
        assert!(text(header::CONTENT_DISPOSITION).starts_with("attachment; filename*=UTF-8''M%C3%BCller%20"));
        assert_eq!(text(header::CONTENT_SECURITY_POLICY), "default-src 'none'; sandbox");
        assert_eq!(text(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn a_file_is_what_its_sender_says_or_its_name() {
    let api = Api::new();
    for (name, said, expected) in [
        ("a.txt", "", "text/plain"),
        ("a.txt", "content-type: image/png\r\n", "image/png"),
        ("a.txt", "content-type: application/octet-stream\r\n", "text/plain"),
        ("a.txt", "content-type: text/html; charset=utf-8\r\n", "text/html"),
        ("a", "", "application/octet-stream"),
        ("", "", "application/octet-stream"),
    ] {
        let (status, told) = api.upload(FORM, form(name, said, b"x")).await;
        assert_eq!(
            (status, told["mimeType"].as_str()),
            (201, Some(expected)),
            "{name} {said}"
        );
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_nothing_is_kept() {
    let api = Api::new();
    let too_large = (
        413,
        json!({ "error": "too_large", "error_type": "too_large", "limit": MAX_FILE }),
    );
    let body = form("a", "", &vec![0; MAX_FILE + 1]);
    assert_eq!(coded(api.upload(FORM, body).await), too_large);
    // By what it announces, before anything has come; and without an announcement, once too much has come.
    let announced = Request::post(UPLOAD)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::CONTENT_LENGTH, "10000000")
        .body(Body::empty());
    let (status, _, body) = api.answer(announced.unwrap()).await;
    assert_eq!(coded((status, serde_json::from_slice(&body).unwrap())), too_large);
    let body = form("a", "", &vec![0; 10_000_000]);
    assert_eq!(coded(api.upload(FORM, body).await), too_large);
    assert_eq!(api.kept(), 0);
    assert_eq!(api.get("/vault/v").await.1["maxAttachment"], MAX_FILE);
}

#[tokio::test]
async fn a_form_that_will_not_do_is_refused_and_nothing_is_kept() {
    let api = Api::new();
    let nowhere = (
        400,
        json!({ "error": "invalid_request", "error_type": "invalid_request" }),
    );
    let whole = form("a", "", b"abc");
    for (kind, body) in [
        ("application/json", b"{}".to_vec()),
        ("multipart/form-data", whole.clone()),
        (FORM, whole[..whole.len() - 15].to_vec()),
        (FORM, whole[..20].to_vec()),
        (FORM, Vec::new()),
    ] {
        assert_eq!(coded(api.upload(kind, body).await), nowhere, "{kind}");
    }
    let other = b"--xx\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\nx\r\n--xx--\r\n";
    assert_eq!(coded(api.upload(FORM, other.to_vec()).await), wrong("file"));
    assert_eq!(api.kept(), 0);
}

#[tokio::test]
async fn a_path_leads_nowhere_but_to_a_file_of_the_vault() {
    let api = Api::new();
    let path = api.stored("../../../../tmp/pwned.sh", b"x").await;
    assert!(!path.contains("..") && path.ends_with(".sh"), "{path}");
    let (day, own) = path.split_once('/').unwrap();
    for path in [
        "nothing.png".to_owned(),
        own.to_owned(),
        "../../v.db".into(),
        "..%2Fv.db".into(),
        "%2Fetc%2Fpasswd".into(),
        format!("{day}/../{path}"),
        format!("{day}%2F..%2F{day}%2F{own}"),
        format!("{path}%00"),
    ] {
        let (status, _, body) = api.download(&path).await;
        assert_eq!(
            coded((status, serde_json::from_slice(&body).unwrap())),
            not_found(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn attachments_are_listed_added_and_taken_off() {
    let api = Api::new();
    api.post(json!({ "id": "n", "path": "Inbox/one", "content": "x" }))
        .await;
    let (one, two) = (api.stored("1.png", b"1").await, api.stored("2", b"22").await);
    let at = format!("{ROOT}/n/attachments");
    assert_eq!(api.get(&at).await, (200, json!([])));
    let (status, first) = api.post_to(&at, json!({ "path": one, "mimeType": "image/png" })).await;
    let expected = json!({
        "id": first["id"], "noteId": "n", "path": one, "filename": "1.png", "mimeType": "image/png", "size": 1,
        "createdAt": T0,
    });
    assert_eq!((status, &first), (201, &expected));
    // By the note's path as well, encoded or not.
    for at in [
        format!("{ROOT}/Inbox%2Fone/attachments"),
        format!("{ROOT}/Inbox/one/attachments"),
    ] {
        let body = json!({ "path": two, "mimeType": "text/plain", "filename": "b.txt", "transcribe": false });
        assert_eq!(api.post_to(&at, body).await.0, 201, "{at}");
    }
    let (_, all) = api.get(&at).await;
    let names = |all: &Value| -> Vec<String> {
        let names = all
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["filename"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    assert_eq!(names(&all), ["1.png", "b.txt", "b.txt"]);
    for (uri, place) in [
        ("/n?include_attachments=true", "/attachments"),
        ("?id=n&include_attachments=1", "/attachments"),
        ("?include_attachments=true", "/0/attachments"),
    ] {
        assert_eq!(
            api.get(&format!("{ROOT}{uri}")).await.1.pointer(place),
            Some(&all),
            "{uri}"
        );
    }
    assert_eq!(api.get(&format!("{ROOT}/n")).await.1.get("attachments"), None);

    let first = format!("{at}/{}", first["id"].as_str().unwrap());
    let remove = || Request::delete(&first).body(Body::empty()).unwrap();
    let (status, _, body) = api.answer(remove()).await;
    assert_eq!((status, body.is_empty()), (204, true));
    let (status, _, body) = api.answer(remove()).await;
    assert_eq!(coded((status, serde_json::from_slice(&body).unwrap())), not_found());
    assert_eq!(api.download(&one).await.0, 404);
    assert_eq!((api.get(&at).await.1.as_array().unwrap().len(), api.kept()), (2, 1));
    // The note goes, and its files with it.
    api.raw("DELETE", &format!("{ROOT}/n"), "").await;
    assert_eq!((api.get(&at).await.0, api.kept()), (404, 0));
}

#[tokio::test]
async fn what_cannot_be_attached_is_refused_with_its_field() {
    let api = Api::new();
    api.post(json!({ "id": "n", "content": "x" })).await;
    let path = api.stored("1", b"1").await;
    let at = format!("{ROOT}/n/attachments");
    for (field, body) in [
        ("path", json!({ "mimeType": "a/b" })),
        ("path", json!({ "path": 1, "mimeType": "a/b" })),
        ("mimeType", json!({ "path": path })),
        ("mimeType", json!({ "path": path, "mimeType": "png" })),
        ("filename", json!({ "path": path, "mimeType": "a/b", "filename": 1 })),
    ] {
        assert_eq!(coded(api.post_to(&at, body.clone()).await), wrong(field), "{body}");
    }
    // A row that points nowhere is not made, wherever it would point.
    let unknown = "../../etc/passwd";
    assert_eq!(
        coded(api.post_to(&at, json!({ "path": unknown, "mimeType": "a/b" })).await),
        (
            400,
            json!({ "error": "unknown_file", "error_type": "unknown_file", "path": unknown })
        )
    );
    let body = json!({ "path": path, "mimeType": "a/b" });
    let absent = format!("{ROOT}/absent/attachments");
    assert_eq!(coded(api.post_to(&absent, body.clone()).await), not_found());
    assert_eq!(coded(api.get(&absent).await), not_found());
    let wrong_method = json!({ "error": "Method not allowed", "error_type": "method_not_allowed" });
    assert_eq!(
        coded(api.post_to(&format!("{ROOT}/n"), body).await),
        (405, wrong_method.clone())
    );
    let (status, headers, body) = api.raw("DELETE", &at, "").await;
    assert_eq!(coded((status.as_u16(), body)), (405, wrong_method));
    assert_eq!(headers[header::ALLOW], "GET,HEAD,POST");
    assert_eq!(api.get(&at).await, (200, json!([])));
}

#[tokio::test]
async fn a_note_is_made_with_its_attachments() {
    let api = Api::new();
    let path = api.stored("1.txt", b"1").await;
    let named = json!({ "path": path, "mimeType": "image/png", "filename": "b" });
    let (status, note) = api
        .post(json!({ "id": "n", "content": "x", "attachments": [path, named] }))
        .await;
    assert_eq!((status, note.get("attachments")), (201, None));
    let (_, all) = api.get(&format!("{ROOT}/n/attachments")).await;
    assert_eq!(
        json!([
            all[0]["filename"],
            all[0]["mimeType"],
            all[1]["filename"],
            all[1]["mimeType"]
        ]),
        json!(["1.txt", "text/plain", "b", "image/png"])
    );
    for (field, attachments) in [
        ("attachments", json!("x")),
        ("attachments[0]", json!([1])),
        ("attachments[1].path", json!([path, {}])),
    ] {
        let note = json!({ "id": "m", "content": "x", "attachments": attachments });
        assert_eq!(coded(api.post(note).await), wrong(field));
    }
    let (status, told) = api
        .post(json!({ "id": "m", "content": "x", "attachments": ["nothing"] }))
        .await;
    assert_eq!((status, told["error_type"].as_str()), (400, Some("unknown_file")));
    assert_eq!(api.ids("").await, "n");
}
