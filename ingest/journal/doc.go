// Package journal keeps accepted entries on disk, in order of arrival, until
// every reader has let go of them. It implements ingest.Journal.
//
// A folder holds segment files, the readers' positions, a lock, and beside them
// what was found damaged. One process may hold a folder at a time. An Append is
// one write and one fsync, so its cost is shared by all entries given to it.
// A position is a byte offset over the journal's whole life.
//
// # Thinning
//
// The journal is bounded by Options.MaxBytes and Options.MaxAge. Beyond them it
// thins, as the last resort: the oldest segment that was not thinned yet is
// written anew with fewer readings, then the next, only until there is room.
// What stays: every answer, SOS and report; every reading with a text, with
// flame or tamper true, with smoke from 0.75 %/m, carbon monoxide from 4.5 ppm or
// heat from 40 °C on, which is below where the rules that come with firewatch
// suspect a fire at their most sensitive, or 5 °C warmer than another of its
// device up to 40 minutes before, within a segment, or with a battery of at most
// 15 %; every status that tells of online, tamper or calibration; every record
// that this version does not understand; and of the other readings of each
// device, class and window of Options.ThinTo, within a segment: the richest, the
// first and the last, the warmest, the driest, and those with the most smoke and
// carbon monoxide. Entries that every reader has
// passed go without being counted. Each thinning is logged, counted, and told
// by Health for a day, also after a restart. When nothing more may go, Append
// refuses with ErrFull. A disk that is full thins nothing: its bound is not the
// journal's, and the copy would need room on it.
//
// # Why no library
//
// tidwall/wal (1.2.1) has no checksums and does not open when its last entry is
// torn. hashicorp/raft-wal (0.4.2) can forget entries at either end only: its
// entries are numbered without gaps. Prometheus' tsdb/wlog repairs damage by
// discarding all that follows it. The file store
// of nats-server is a part of that server and by default syncs every two minutes;
// it keeps positions of named readers (durable consumers) and deletes single
// messages anywhere, but which of them a fire needs would be ours to say all the
// same. The other three do neither.
package journal
