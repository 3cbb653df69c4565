package cmd

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// details is a table of labels and values.
type details struct {
	term.Table
	style term.Style
}

func newDetails(style term.Style) *details {
	return &details{term.Table{Indent: "  "}, style}
}

// line adds values under one label; empty ones are left out.
func (t *details) line(label string, values ...string) {
	for _, v := range values {
		if v != "" {
			t.cell(label, term.Cell{Text: v})
			label = ""
		}
	}
}

func (t *details) cell(label string, c term.Cell) {
	if c.Text != "" {
		t.Row(term.Cell{Text: label, Style: t.style.Faint}, c)
	}
}

// remark is a value with something to be said of it.
func remark(value, text string, paint func(string) string) term.Cell {
	if value == "" || text == "" {
		return term.Cell{Text: value}
	}
	return term.Cell{Text: value + "   " + text, Style: func(s string) string {
		if rest, ok := strings.CutSuffix(s, text); ok {
			return rest + paint(text)
		}
		return s
	}}
}

// names adds the subject alternative names.
func (t *details) names(sans []sanJSON, others []string) {
	var all []string
	for _, s := range sans {
		all = append(all, profiles.SANKind(s.Kind).String()+" "+s.Value)
	}
	t.line("Names", append(all, others...)...)
}

// The extensions that have lines of their own.
const (
	oidSubjectKeyID     = "2.5.29.14"
	oidKeyUsage         = "2.5.29.15"
	oidSAN              = "2.5.29.17"
	oidBasicConstraints = "2.5.29.19"
	oidCRLNumber        = "2.5.29.20"
	oidNameConstraints  = "2.5.29.30"
	oidCRLPoints        = "2.5.29.31"
	oidAuthorityKeyID   = "2.5.29.35"
	oidExtKeyUsage      = "2.5.29.37"
	oidAIA              = "1.3.6.1.5.5.7.1.1"
)

// extensions adds the extensions whose contents are in no other line.
func (t *details) extensions(exts []extJSON, explained ...string) {
	var all []string
	for _, e := range exts {
		if slices.Contains(explained, e.OID) {
			continue
		}
		text := e.OID
		if e.Name != "" {
			text = e.Name
		}
		if e.Critical {
			text += " (critical)"
		}
		all = append(all, text)
	}
	t.line("Extensions", all...)
}

// list adds words with commas between them, in as many lines as they need.
func (t *details) list(label string, words []string) {
	const width = 64
	var lines []string
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(w) <= width {
			lines[last] += " " + w
		} else {
			lines = append(lines, w)
		}
	}
	t.line(label, lines...)
}
