// Package cap reads the Common Alerting Protocol 1.2 (OASIS, 1 July 2010) and
// says what a message warns of, in the colours of Chinese warning signals.
//
// Parse reads and checks one document; its error is an *Error whose faults name
// the line, the element and what to do. Blocks then turns the message into one
// block per area and time, with a level of 2 (blue) to 5 (red).
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
// Two things that the standard does not have are taken, because Chinese messages
// have them: a colour (RED, ORANGE, YELLOW, BLUE) as severity, and white space
// around values. An element signature of XML Signature is passed over, not
// verified.
package cap
