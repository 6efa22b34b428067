// Package cap reads, judges and writes the Common Alerting Protocol 1.2 (OASIS,
// 1 July 2010) and says what a message warns of, in the colours of Chinese
// warning signals.
//
// Parse reads and checks one document; its error is an *Error whose faults name
// the line, the element and what to do. Blocks then turns the message into one
// block per area and time, with a level of 2 (blue) to 5 (red). Write makes the
// document of a message, and Parse reads the same message back. Check judges a
// document by the standard alone.
//
// The package knows nothing of firewatch. Who stores warnings converts:
//
//	a.Identifier, a.Sender, a.Sent, a.Status, a.MsgType   the same fields
//	a.References                                          references
//	cap.Blocks(a)                                         one or more blocks each:
//	    Codes     GB/T 2260 codes as a roster has them (6 or 9 digits); may be empty
//	    AreaDesc  always there
//	    Level     0 none, 2 blue, 3 yellow, 4 orange, 5 red
//	    From, To  To is excluded; 24 h after From when the message gives none
//	cap.Summarize(a)                                      event, code, issuer, headline, text, measures
//
// A message of another status than Actual never warns of anything real, a Cancel
// and an Ack have no blocks: the caller keeps the status and the type with what
// it stores.
//
// # Strict and lenient
//
// Check is strict. It holds the types of the schema (white space counts in
// xs:string and not in times, numbers and URIs; 24:00:00 is a time) and the rules
// in the text: no blank, comma, < or & in identifier and sender; references as
// sender,identifier,sent; quotation marks of incidents in pairs; what Restricted,
// Private, Update, Cancel, Ack and Error need beside them; closed polygons of four
// points and more, and the ranges of coordinates; a radius, a size that is not
// negative, a MIME type, base64, SHA-1; a ceiling above an altitude; an expires
// that is not before effective. It does not object to what the text only
// recommends, nor to +00:00 for UTC, which many sources write for -00:00, nor to
// an onset after expires: expires is when the message lapses.
//
// Parse is lenient, because a warning is worth more than its form. It takes a
// colour (RED, ORANGE, YELLOW, BLUE, 红色 …) as severity, white space around words
// and behind commas in coordinates, empty polygons, foreign attributes, and faults
// in what is attached. What a message could be misread by it refuses too.
//
// An element signature of XML Signature is passed over, not verified.
//
// # Older versions
//
// A document of CAP 1.1 or 1.0 is judged by the schema of its version, times with
// Z or fractions and heights of any text included, and becomes a message of 1.2;
// Alert.Upgraded says from what and what was changed.
package cap
