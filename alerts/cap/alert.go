package cap

import "time"

// Alert is one CAP message.
type Alert struct {
	Identifier  string
	Sender      string
	Sent        time.Time
	Status      string // Actual, Exercise, System, Test, Draft
	MsgType     string // Alert, Update, Cancel, Ack, Error
	Source      string
	Scope       string // Public, Restricted, Private
	Restriction string
	Addresses   string
	Codes       []string
	Note        string
	References  []Reference
	Incidents   string
	Infos       []Info
}

// Reference names an earlier message: sender,identifier,sent.
type Reference struct {
	Sender     string
	Identifier string
	Sent       time.Time
}

// Info is one segment of what is known, in one language. An absent time is zero.
type Info struct {
	Language     string // as it stands in the message; empty: not given, which means en-US
	Categories   []string
	Event        string
	Responses    []string
	Urgency      string
	Severity     string // Extreme, Severe, Moderate, Minor, Unknown
	Colour       Level  // when the message gave a colour as severity
	Certainty    string
	Audience     string
	EventCodes   []Pair
	Effective    time.Time
	Onset        time.Time
	Expires      time.Time
	SenderName   string
	Headline     string
	Description  string
	Instruction  string
	Web          string
	Contact      string
	Parameters   []Pair
	ResourceDesc []string // what is attached; the attachments themselves are passed over
	Areas        []Area
}

// Pair is a value under a name that the issuer chose.
type Pair struct {
	Name  string
	Value string
}

// Area is where an Info holds.
type Area struct {
	Desc     string
	Polygons [][]Point // each closed: the first point is the last
	Circles  []Circle
	Geocodes []Pair
	Altitude string // feet above mean sea level
	Ceiling  string // feet above mean sea level
}

// Point is a place, WGS-84.
type Point struct {
	Lat float64 // °
	Lon float64 // °
}

// Circle is a place and a radius around it.
type Circle struct {
	Centre   Point
	RadiusKM float64 // km
}
