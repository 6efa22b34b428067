// Package lorawan holds what the adapters of LoRaWAN network servers share: the
// frames of devices that are known by their model, the names under which the
// servers' own payload codecs give what they have decoded, and the reading that
// comes of one uplink.
package lorawan
