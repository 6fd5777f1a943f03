//go:build !linux

package main

import "os"

// hideInput knows terminals of Linux alone.
func hideInput(*os.File) (show func(), ok bool) { return nil, false }
