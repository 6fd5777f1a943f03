//go:build race

package proxy

// raceCost is what the race detector adds to each connection.
const raceCost = 12 << 10
