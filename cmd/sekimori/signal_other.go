//go:build !unix

package main

func outlive() {}
