// Package testdata holds mail, DNS zones and verdicts as files that a mail admin
// can read and add without writing Go. README.md tells how a case looks. Load
// reads them; what they say is compared by Case.Check and Case.CheckReply.
// Nothing of the product is imported here, so that every part of it can be
// tested by the same cases.
package testdata

import "embed"

// Demo holds the cases that the demo command plays, in the order of their names.
//
//go:embed demo
var Demo embed.FS
