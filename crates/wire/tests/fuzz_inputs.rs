//! Runs the body of the fuzz target `request` over interesting inputs and random ones.

use idmerge_wire::fuzz;
use proptest::prelude::*;

#[test]
fn interesting_inputs() {
    for input in [
        "",
        "\n\n\n",
        "verbose=1\n\n\ndata=%7B%7D",
        "data=e30=\n\n\n",
        "\napplication/x-ndjson\nBasic x:\n{}\n{]\n[1",
        "strict=1&api_key=\n\n\n[{\"event\":\"A\",\"properties\":{\"time\":1e999}},1]",
        "callback=a.b\n\n\n{\"event\":\"\\ud800\"}",
    ] {
        fuzz::request(input.as_bytes());
    }
    for input in [
        &b"\xff\n\xff\n\xff\n\x1f\x8b\x08"[..],
        b"\n\n\n{\"event\":\"A\",\"properties\":{},\"\":\"\xff\"}",
        b"\n\n\n[{\"event\":\"\xed\xa0\xbc\",\"properties\":{\"\xe9\":\"\xed\xa0\xbc\xed\xbd\x94\"}}]",
        b"\n\n\ndata={\"event\":\"%&\xff\",\"properties\":{\"distinct_id\":\"\xff\"}}",
    ] {
        fuzz::request(input);
    }
}

proptest! {
    #[test]
    fn any_bytes_get_a_response(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::request(&bytes);
    }

    #[test]
    fn pieces_of_requests_get_a_response(
        pieces in prop::collection::vec(
            prop::sample::select(&[
                "\n", "data=", "&", "verbose=1", "strict=0", "callback=f", "Basic ", "application/json",
                "application/x-ndjson", "e30", "%7B", "+", "{", "}", "[", "]", ",", ":", "\"event\"",
                "\"properties\"", "\"A\"", "\"time\"", "17", "null", "\"?\"", "?", "{\"event\":\"A\",\"properties\":{}}",
            ]),
            0..30,
        )
    ) {
        // `?` is a byte that no UTF-8 has.
        let bytes: Vec<_> = pieces.concat().bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
        fuzz::request(&bytes);
    }
}
