//! Two hundred hostile values, and what each comes to when a task prints it.

use std::fmt::Write as _;

/// What is longer cannot be given to a run at all.
pub const PARAM_BYTES_MAX: usize = 2_000;

#[expect(clippy::too_many_lines, reason = "a list")]
pub fn hostile(canary: &str) -> Vec<Vec<u8>> {
    let touch = format!("touch {canary}");
    let mut values: Vec<Vec<u8>> = Vec::new();
    let around = [
        ("", ""),
        ("$(", ")"),
        ("`", "`"),
        (";", ";"),
        ("'; ", "; '"),
        ("\"; ", "; \""),
        ("\n", "\n"),
        ("| ", " |"),
        ("&& ", " &&"),
        ("|| ", " ||"),
        ("& ", " &"),
        (")", "("),
        ("'$(", ")'"),
        ("\"$(", ")\""),
        ("\\\"$(", ")\\\""),
        ("${x:-$(", ")}"),
        ("<(", ")"),
        ("\r\n", "\r\n"),
        ("}}", "{{"),
        ("{{ '", "' }}"),
    ];
    for payload in [
        touch.clone(),
        format!("/bin/{touch}"),
        format!("echo x > {canary}"),
        format!("tee {canary}"),
        format!("eval '{touch}'"),
        format!("\\$\\({touch}\\)"),
        format!("t=touch; $t {canary}"),
    ] {
        for (before, after) in around {
            values.push(format!("{before}{payload}{after}").into_bytes());
        }
    }
    for text in [
        format!("-o{canary}"),
        format!("--output={canary}"),
        format!("-c {touch}"),
        format!("/{canary}"),
        format!("file://{canary}"),
        format!("@{canary}"),
        format!("x HTTP/1.1\r\nX-Other: {touch}\r\n\r\n"),
        format!("BASH_ENV={canary}"),
        format!("() {{ :; }}; {touch}"),
    ] {
        values.push(text.into_bytes());
    }
    for text in [
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "'",
        "\"",
        "`",
        "\\",
        "\\\\",
        "$",
        "$$",
        "$x",
        "${x}",
        "$HOME",
        "~",
        "*",
        "?",
        "[a-z]",
        "!",
        "#",
        "%",
        "%s%s%n",
        "%00",
        "&",
        "|",
        "<",
        ">",
        "(",
        ")",
        "{",
        "}",
        "{{",
        "}}",
        "{{ ds }}",
        "{{ params.p0 }}",
        "../../../etc/passwd",
        "/",
        ".",
        "..",
        "-",
        "--",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}evil\u{2066}",
        "\u{85}\u{9b}31m",
        "a\0b",
        "\0",
        "null",
        "true",
        "[]",
        "{\"a\": 1}",
        "NaN",
        "🚀한글",
    ] {
        values.push(text.as_bytes().to_vec());
    }
    for bytes in [
        &b"\xff\xfe\x00"[..],
        b"caf\xe9",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf8\x88\x80\x80\x80",
    ] {
        values.push(bytes.to_vec());
    }
    values.push(vec![b'x'; 128 << 10]);
    values.push(vec![0xff; 40 << 10]);
    values.push("$(".repeat(20_000).into_bytes());
    values
}

/// What a task leaves that has printed these bytes, told a second time.
pub fn left(printed: &[u8]) -> String {
    let ended = printed.strip_suffix(b"\n").unwrap_or(printed);
    let line = ended.rsplit(|byte| *byte == b'\n').next().unwrap();
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\0' {
                text.push_str("\\x00");
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").unwrap();
        }
    }
    text.trim_end().to_owned()
}
