//go:build linux

package main

import (
	"fmt"
	"strconv"
	"time"

	contract "firewatch/firmware-contracts"
)

// maxDevices fits the digits of deviceID.
const maxDevices = 99_999

// deviceID names the device of the number.
func deviceID(i int) contract.DeviceID { return contract.DeviceID(fmt.Sprintf("bench-%05d", i)) }

// filter receives the positions of every device.
var filter = contract.Uplink(contract.Tracker, contract.Position, "+")

// appendReading appends the payload of a tracker of the contract that walks: about
// 165 bytes, numbers only, so that Telegraf's JSON parser stores every field.
func appendReading(b []byte, device int, seq int64, at time.Time) []byte {
	h := uint32(device) * 2654435761 //nolint:gosec // a hash
	step := float64(seq % 1000)
	b = strconv.AppendInt(append(b, `{"t":`...), at.UnixMilli(), 10)
	b = strconv.AppendInt(append(b, `,"seq":`...), seq, 10)
	b = strconv.AppendFloat(append(b, `,"lat":`...), 38.5+float64(h%1_000_000)/1e6+step/1e5, 'f', 6, 64)
	b = strconv.AppendFloat(append(b, `,"lon":`...), 114.5+float64(h>>3%1_000_000)/1e6+step/1e5, 'f', 6, 64)
	b = strconv.AppendFloat(append(b, `,"alt_m":`...), 500+float64(h>>5%4000)/10+step/10, 'f', 1, 64)
	b = strconv.AppendFloat(append(b, `,"speed_ms":`...), 1+step/1000, 'f', 2, 64)
	b = strconv.AppendInt(append(b, `,"course_deg":`...), (int64(h>>7)+seq)%360, 10)
	b = strconv.AppendFloat(append(b, `,"acc_m":`...), 3.5+float64(seq%7), 'f', 1, 64)
	b = strconv.AppendInt(append(b, `,"sats":`...), 8+seq%9, 10)
	b = strconv.AppendInt(append(b, `,"battery_pct":`...), 99-seq/200%90, 10)
	b = strconv.AppendInt(append(b, `,"rssi_dbm":`...), -70-seq%40, 10)
	return append(b, '}')
}

// floodBegin is the time of the first reading of a device that sends n of them, a
// second apart, and ends a little before now.
func floodBegin(now time.Time, n int) time.Time {
	return now.Add(-time.Duration(n)*time.Second - time.Minute).Truncate(time.Second)
}
