package contractv1

import "testing"

// What the decoder takes is what contract.Reading.Validate calls sound, so that
// adapters can be held to the same.
func TestDecodedReadingsAreSound(t *testing.T) {
	for _, folder := range []string{"valid", "invalid"} {
		for _, g := range goldens(t, folder) {
			topic := topicOf(g.document)
			if topic.Class == 0 {
				continue
			}
			rs, _ := Decode(nil, topic, g.payload, goldenNow)
			for i := range rs {
				if err := rs[i].Validate(); err != nil {
					t.Errorf("%s/%s, reading %d: %v", folder, g.name, i, err)
				}
			}
		}
	}
}
