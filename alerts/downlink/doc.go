// Package downlink brings commands to trackers and takes what the trackers say
// about them: 送达, 已读, 应答.
//
// The rows of the store are the queue. A command whose NextAt has come is due:
// its device is told all its open commands, as state that the broker keeps, and
// then the row says so. A process that dies in between is followed by another
// telling, which a tracker recognises by the command's id. A command that has
// been answered, withdrawn, superseded or has expired leaves the state the same
// way, and what the broker may have lost is told again.
//
// Any number of runners may run; the one that holds the lease works. Answers are
// taken by whichever process hears them.
package downlink
