// The arena as a room of Colyseus: `node server.js STATE_BYTES HZ ONE_MOVES_IN`.
"use strict";

// Before Colyseus is loaded: elsewhere it makes a new buffer for every message.
process.env.NODE_ENV = "production";

const { Room, Server } = require("@colyseus/core");
const { WebSocketTransport } = require("@colyseus/ws-transport");

const MEMBERS = 16;
const [STATE_BYTES, HZ, ONE_MOVES_IN] = process.argv.slice(2).map(Number);
const ROW_BYTES = Math.ceil(STATE_BYTES / MEMBERS);

// Types of messages: numbers, which take a byte where names take more.
const INPUT = 0;
const PING = 1;
const ECHO = 2;
const STATE = 3;

class Arena extends Room {
  onCreate() {
    this.maxClients = MEMBERS;
    // There is no schema to send patches of.
    this.patchRate = null;
    this.field = Uint8Array.from({ length: STATE_BYTES }, (_, index) => index);
    this.free = Array.from({ length: MEMBERS }, (_, row) => row);
    this.onMessage(INPUT, (client, input) => this.input(client.userData.row, input));
    this.onMessage(PING, (client, ping) => client.sendBytes(ECHO, ping));
    this.setSimulationInterval(() => this.tick(), 1000 / HZ);
  }

  onJoin(client) {
    client.userData = { row: this.free.shift() };
  }

  onLeave(client) {
    this.free.unshift(client.userData.row);
  }

  input(row, input) {
    if (row % ONE_MOVES_IN !== 0) return;
    const start = row * ROW_BYTES;
    const bytes = Math.min(input.length, ROW_BYTES, Math.max(STATE_BYTES - start, 0));
    for (let at = 0; at < bytes; at++) this.field[start + at] ^= input[at];
  }

  tick() {
    const step = ROW_BYTES * ONE_MOVES_IN;
    for (let start = 0; start < STATE_BYTES; start += step) {
      const end = Math.min(start + ROW_BYTES, STATE_BYTES);
      for (let at = start; at < end; at++) this.field[at] = this.field[at] * 77 + 113;
    }
    this.broadcastBytes(STATE, this.field);
  }
}

const transport = new WebSocketTransport();
const server = new Server({ greet: false, transport });
server.define("arena", Arena);
server.listen(0, "127.0.0.1").then(() => {
  console.log(`listening on 127.0.0.1:${transport.server.address().port}`);
});

// It ends with whoever started it.
process.stdin.on("end", () => process.exit(0)).resume();
