package influx

// KeepOrder makes the client write lines in the order of arrival, to be compared
// with.
func (c *Client) KeepOrder() { c.sorted = false }
