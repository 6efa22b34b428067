package provision

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the blank border that a code needs, in modules (ISO/IEC 18004).
const quiet = 4

// encode makes the code with its border; true is dark.
func encode(text string) (dark func(x, y int) bool, size int, err error) {
	// M repairs 15 %: a sticker in the forest gets scratches.
	var code image.Image
	if code, err = qr.Encode(text, qr.M, qr.Auto); err != nil {
		return nil, 0, fmt.Errorf("making a QR code: %w", err)
	}
	n := code.Bounds().Dx()
	return func(x, y int) bool {
		x, y = x-quiet, y-quiet
		return x >= 0 && y >= 0 && x < n && y < n && color.GrayModel.Convert(code.At(x, y)).(color.Gray).Y < 128
	}, n + 2*quiet, nil
}

// SVG draws the text as a QR code, with its border, at any size.
func SVG(text string) (string, error) {
	dark, n, err := encode(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, n, n, n, n)
	for y := range n {
		for x := 0; x < n; x++ {
			from := x
			for x < n && dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// Terminal draws the text as a QR code for a dark terminal, two rows of modules
// in a line of half blocks: what is light is printed.
func Terminal(text string) (string, error) {
	dark, n, err := encode(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for y := 0; y < n; y += 2 {
		for x := range n {
			upper, lower := !dark(x, y), y+1 < n && !dark(x, y+1)
			switch {
			case upper && lower:
				b.WriteString("█")
			case upper:
				b.WriteString("▀")
			case lower:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}
