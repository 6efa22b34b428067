// Package contractv1 is version 1 of the wire between devices, team terminals
// and firewatch: it turns payloads into contract.Reading, contract.Answer and
// contract.Order, and back.
//
// A message is one document, in JSON (RFC 8259) or as the same document in CBOR
// (RFC 8949); the first byte tells which. A document is one reading, or a batch
// {"readings": [reading, …]}. The schemas in schema/ and asyncapi.yaml describe
// the same for people and other languages, testdata/ holds examples of both.
//
// What is accepted:
//
//   - A document is taken or refused as a whole when it is not well formed (bad
//     syntax, bad UTF-8, cut off, bytes behind it, nested too deep, too large).
//     Otherwise each reading of it stands alone: a bad one is a Fault, the
//     others are taken.
//   - Keys that version 1 does not know, and keys that belong to another class,
//     pass and are ignored, whatever they hold. So newer firmware can talk to an
//     older firewatch.
//   - null (and CBOR undefined) is the same as leaving the key out.
//   - A key that is read may stand once in an object.
//   - Integers may be written as 3, 3.0 or 3e0. Numbers are compared with their
//     range as 64-bit floats.
//   - A reading that carries an alarm (an SOS that is not a call-off, a report,
//     flame or tamper true) is not lost for a bad detail: it is returned without
//     the bad fields, and its faults are marked Kept. If its clock cannot be
//     believed, the time of receipt stands in.
package contractv1
