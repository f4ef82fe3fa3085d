// SPDX-License-Identifier: Apache-2.0
/*
 * Scenarios of whole links, a station and a bridge: one for each line of the conformance checklist
 * of the reference that concerns the protocols and not octets alone (those are in the tests beside
 * each codec and machine). The language is told in sim_fixture.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim_fixture.h"

/* A station and a bridge that have agreed, with a wire of 1 ms. */
#define PAIR                                                                                       \
	"station s rwd 20\n"                                                                       \
	"bridge b rwd 20\n"                                                                        \
	"link s b delay 1\n"                                                                       \
	"run 5s\n"
#define ASSOCIATED PAIR "assoc s 1 200; run 100ms; expect s told 1 S; expect b open 1 1\n"

static const struct {
	const char *name, *text;
} scenarios[] = {
	{ "1-3, 5: the TLVs, where they go",
	  "station s channels 2; bridge b pool 100-200; link s b delay 1; run 5s\n"
	  "expect s last lldp 0180c2000000020000000001 88cc 0207 04 020000000001"
	  "  0407 03 020000000001 0602 0079 fe09 0080c20d\n"
	  "expect s last cdcp 0180c2000003020000000001 88cc 0207 04 020000000001"
	  "  0407 03 020000000001 0602 0079 fe0e 0080c20e 880000a7 001001 002064 0000\n"
	  "expect s last lldp fe09 0080c20d 0305 6e b1 34 0000\n"
	  "expect b last lldp fe09 0080c20d 0305 6e 71 34 0000\n" },
	{ "6: alone, a station does not know",
	  "station s; bridge b; link s b; mute b; run 100s; expect s rr unknown\n"
	  "expect s last lldp fe09 0080c20d 0007 6e 91 14 0000\n" },
	{ "7, 11: agreed within two seconds, echoes and all",
	  "station s rwd 20; bridge b rwd 20; link s b delay 1; run 2s\n"
	  "expect s rr on; expect b reflect 1\n"
	  "expect s last lldp fe09 0080c20d 0305 6e b4 34\n"
	  "expect b last lldp fe09 0080c20d 0305 6e 74 34\n" },
	{ "8: not before the data plane reflects",
	  "station s; bridge b; plane b slow; link s b; run 60s\n"
	  "expect s rr off; expect b reflect 0; expect b last lldp fe09 0080c20d 0204\n"
	  "plane b done; run 2s; expect s rr on; expect b last lldp fe09 0080c20d 0305\n" },
	{ "8: nor if it may not", PAIR "set b rr 0; run 2s; expect b reflect 0; expect s rr off\n"
				       "expect b last lldp fe09 0080c20d 0004\n"
				       "expect s last lldp fe09 0080c20d 0004\n"
				       "set b rr 1; run 2s; expect b reflect 1; expect s rr on\n" },
	{ "9: a station that asks no more",
	  PAIR "set s rr 0; run 1s\n"
	       "expect b reflect 0; expect s rr off; expect b last lldp fe09 0080c20d 0200\n" },
	{ "10: it ages",
	  "station s hold 1; bridge b; link s b delay 1; run 5s; expect b reflect 1\n"
	  "kill s; run 25s; expect b reflect 1; run 7s; expect b reflect 0\n"
	  "expect b last lldp fe09 0080c20d 0200\n" },
	{ "10, 17: it says good-bye",
	  PAIR "count s; stop s; run 10ms\n"
	       "expect s sent lldp 1; expect b reflect 0; expect b peer 0\n"
	       "expect s last lldp 0207 04 020000000001 0407 03 020000000001 0602 0000 0000\n"
	       "run 10s; expect s sent lldp 1\n"
	       "start s; run 4s; expect s rr on; expect b reflect 1\n" },
	{ "10: the link goes down", PAIR "cut s; run 1ms; expect b reflect 0; expect s rr unknown\n"
					 "join s; run 2s; expect s rr on\n" },
	{ "11: the bridge goes, and comes back",
	  "station s; bridge b hold 1; link s b; run 5s\n"
	  "mute b; run 32s; expect s rr unknown; unmute b; run 31s; expect s rr on\n" },
	{ "12, 13: the greater counts, and whose it is",
	  "station s retries 2 rte 12 rwd 21 rka 19; bridge b retries 4 rte 13 rwd 20 rka 22\n"
	  "link s b delay 1; run 5s\n"
	  "expect s retries 4; expect s rte 13; expect s rwd 21; expect s rka 22\n"
	  "expect b retries 4; expect b rte 13; expect b rwd 21; expect b rka 22\n"
	  "expect b last lldp fe09 0080c20d 0305 8d 75 36\n" /* rwd taken: ROL; rka own, echoed */
	  "expect s last lldp fe09 0080c20d 0305 8d b5 36\n" },
	{ "14: or not",
	  "station s manual 1 rwd 10; bridge b rwd 25; link s b; run 5s\n"
	  "expect s rwd 10; expect b rwd 25; expect s last lldp fe09 0080c20d 0305 6e 8a 14\n" },
	{ "12: what one end lowers, then the other, and both at once, sinks",
	  "station s rte 20 rwd 22 rka 23 retries 5; bridge b rte 18 rwd 22 rka 21 retries 2\n"
	  "link s b delay 1; run 5s; expect b rte 20; expect b retries 5\n"
	  "set s rte 14 rwd 17 rka 19 retries 3; run 5s\n"
	  "expect s rte 18; expect s rwd 22; expect s rka 21; expect s retries 3\n"
	  "expect b rte 18; expect b rwd 22; expect b rka 21; expect b retries 3\n"
	  "set b rte 15 rwd 16 rka 20; run 5s\n"
	  "expect s rte 15; expect s rwd 17; expect s rka 20\n"
	  "expect b rte 15; expect b rwd 17; expect b rka 20\n"
	  "set s rte 21 rwd 21 rka 21; set b rte 21 rwd 21 rka 21; run 5s; expect s rka 21\n"
	  "set s rte 9 rwd 9 rka 9; set b rte 10 rwd 10 rka 10; run 5s\n"
	  "expect s rte 10; expect s rwd 10; expect s rka 10\n"
	  "expect b rte 10; expect b rwd 10; expect b rka 10\n"
	  "set s rte 7 rwd 7 rka 7 retries 0; set b rte 6 rwd 6 rka 6 retries 1; run 40s\n"
	  "expect s rte 7; expect b rwd 7; expect s retries 1; expect b retries 1\n"
	  "set s rka 18; run 5s; expect b rka 18\n"
	  "expect s last lldp fe09 0080c20d 0305 07 a7 32\n" },
	{ "12: what a former life had said is not held against the next",
	  "station s rwd 22; bridge b rwd 16; link s b delay 1; run 5s; expect b rwd 22\n"
	  "mute s; set s rwd 17; stop s; unmute s; start s; run 5s\n"
	  "expect s rwd 17; expect b rwd 17\n" },
	{ "12: but not beyond what is bearable",
	  "station s rka 31 rwd 31; bridge b cap 25; link s b delay 1; run 5s\n"
	  "expect s rka 31; expect b rka 25; expect b rwd 25; expect b rte 14\n"
	  "expect b last lldp fe09 0080c20d 0305 6e 79 39\n"
	  "set b cap 31; run 2s; expect b rka 31; set b cap 0; run 2s; expect b rka 20\n" },
	{ "15: GroupIDs need both", "station s gid 1; bridge b; link s b; run 5s; expect s gid 0\n"
				    "set b gid 1; run 2s; expect s gid 1; expect b gid 1\n" },
	{ "18: changes are said at once, and not too often",
	  PAIR "set b cap 31; run 20s; count s\n"
	       "set s rwd 21; run 1ms; expect s sent lldp 1\n"
	       "set s rwd 22; run 1ms; set s rwd 23; run 1ms; set s rwd 24; run 1ms; set s rwd 25\n"
	       "run 1ms\n"
	       "set s rwd 26; run 1ms; set s rwd 27; run 1ms; set s rwd 28; run 1ms\n"
	       "expect s sent lldp 5; run 1s; expect s sent lldp 6; expect b rwd 28\n" },
	{ "19, 20: drafts, and never both",
	  "station s dialect draft; bridge b; link s b delay 1; run 5s\n"
	  "expect b gen draft; expect s rr on; expect b reflect 1; expect b rte 14\n"
	  "expect s last lldp fe0d 001b3f00 c0074007 0cdf0000 0e 0000\n"
	  "expect b last lldp fe0d 001b3f00 c0074007 0cdf0000 0e 0000\n"
	  "assoc s 1 200; run 100ms; expect s told 1 S; expect b open 1 1\n"
	  "expect s last ecp 0180c200000e 020000000001 88b7 001b3f 00 0000 00\n"
	  "expect b last ack 0180c200000e 020000000002 88b7 001b3f 00 0000 01\n"
	  "run 60s; expect b vsi 1 assoc; deassoc s 1; run 100ms; expect s told 1 SE\n" },
	{ "20: a station that speaks both follows a draft bridge",
	  "station s; bridge b dialect draft; link s b delay 1; assoc s 1 200; run 5s\n"
	  "expect s gen draft; expect s told 1 S; expect s rr on\n" },

	{ "22: equal roles", "bridge a pool 10-20; bridge b pool 10-20; link a b; run 60s\n"
			     "expect a channels 0; expect b channels 0; expect a peer 0\n" },
	{ "23-25: channels come, stay and go",
	  "station s channels 2,3; bridge b pool 100-101; link s b delay 1; run 3s\n"
	  "expect s channel 2 100; expect b channel 2 100; expect s channel 3 101\n"
	  "set s channels 3,4,5; run 3s\n"
	  "expect b channel 3 101; expect b channel 4 100; expect b channel 5 0\n"
	  "expect s channels 2; expect s channel 2 0; expect b channel 2 0; expect b channels 2\n"
	  "expect s channel 3 101; expect s channel 4 100\n"
	  "set b pool 100-110; run 3s; expect s channel 5 102; expect s channels 3\n" },
	{ "24: a bridge that is restarted: channels stay, and have the tags that they had",
	  "station s channels 2,3,4; bridge b pool 100-110; link s b delay 1; run 3s\n"
	  "set s channels 3,4; run 3s; set s channels 2,3,4; set b pool 100-105; run 3s\n"
	  "set s channels 4,3; run 3s; set s channels 6,4,3; count s; reborn b; run 1us\n"
	  "expect s channel 4 102; run 500ms\n"
	  "expect s channel 3 101; expect s channel 4 102; expect s channel 6 100\n"
	  "expect b channel 3 101; expect b channel 4 102; expect s lost 0\n" },
	{ "25: but what a bridge names without a tag goes at once, and what it forgot soon",
	  "station s channels 2,3; bridge b pool 100-110; link s b delay 1; run 3s; count s\n"
	  "set b pool 100-100; run 1s; expect s channels 1\n"
	  "set b pool 100-110; run 3s; expect s channels 2\n"
	  "mute s; reborn b; run 4s; expect s channels 2; run 2s; expect s channels 0\n"
	  "unmute s; run 40s; expect s channels 2; expect b channels 2\n" },
	{ "26: as many as both can have",
	  "station s channels 2,3,4,5 chancap 4; bridge b pool 100-200 chancap 3; link s b\n"
	  "run 3s\n"
	  "expect s channels 2; expect b channels 2\n" },
	{ "28: all go when the peer ages",
	  "station s channels 2,3 hold 1; bridge b pool 100-200 hold 1; link s b; run 3s\n"
	  "expect b channels 2; kill s; run 32s; expect b channels 0\n" },

	{ "30: where requests go", PAIR "assoc s 1 200; run 100ms\n"
					"expect s last ecp 0180c2000000 020000000001 8940 1001\n"
					"expect b last ack 0180c2000000 020000000002 8940 1401\n" },
	{ "31, 32: a lost ack costs a duplicate, not a delivery", PAIR
	  "count s; count b; drop b 1 ack\n"
	  "assoc s 1 200; run 1s; expect s sent ecp 2; expect b sent ack 2; expect b delivered 1\n"
	  "expect s told 1 S; expect b plane 1 A\n" },
	{ "33: as many transmissions as agreed, then no more",
	  PAIR "count s; mute s\n"
	       "assoc s 1 200; run 600ms; expect s sent ecp 4; run 900ms; expect s sent ecp 4\n"
	       "expect s given_up 1\n" },
	{ "33: by one's own values, as long as there are no others",
	  "station s retries 1 rte 10; bridge b; link s b; mute s; mute b; assoc s 1 200\n"
	  "run 10ms; expect s sent ecp 1; run 1ms; expect s sent ecp 2; run 100ms\n"
	  "expect s sent ecp 2\n" },
	{ "34, 35: one at a time, and apart", PAIR
	  "count s\n"
	  "assoc s 1 2; run 1us; assoc s 2 2; run 1us; assoc s 3 2; run 1us; expect s sent ecp 1\n"
	  "run 100ms; expect s sent ecp 2; expect s gap>=5ms\n"
	  "expect s told 1 S; expect s told 2 S; expect s told 3 S\n" },
	{ "32: a restarted station with the sequence of its former life is new all the same",
	  "station s sequence 7; bridge b; link s b delay 1; assoc s 1 200; run 1s\n"
	  "expect s told 1 S\n"
	  "cut s; join s; run 1s; expect b delivered 2; expect b vsi 1 assoc\n" },

	{ "43: no response", PAIR "mute b; assoc s 1 200; run 15s; expect s told 1\n"
				  "run 5s; expect s told 1 T; expect s vsis 0\n"
				  "unmute b; assoc s 1 200; run 100ms; expect s told 1 TS\n" },
	{ "44, 56: kept alive, and nothing else happens", ASSOCIATED
	  "count s; count b; run 3600s\n"
	  "expect s told 1; expect b plane 1; expect b delivered 343; expect s vsi 1 assoc\n" },
	{ "45: refused",
	  PAIR "manager b refuse 4 hard; assoc s 1 200; run 100ms; expect s told 1 R\n"
	       "expect b last ecp 0621 54; expect s vsis 0; expect b vsis 0; expect b open 1 0\n" },
	{ "46: refused, and kept",
	  ASSOCIATED "manager b refuse 2 keep; assoc s 1 300; run 100ms\n"
		     "expect s told 1 SK; expect s vid 1 200; expect b open 1 1; run 60s\n"
		     "expect b vsi 1 assoc\n" },
	{ "53: no KEEP for what never stood",
	  PAIR "manager b refuse 2 keep; assoc s 1 200; run 100ms\n"
	       "expect s told 1 R; expect b last ecp 0621 42\n" },
	{ "47: revoked",
	  ASSOCIATED "revoke b 1; run 100ms; expect s told 1 SV; expect b open 1 0\n"
		     "expect b last ecp 0821 00; expect s vsis 0; expect b vsis 0\n"
		     "assoc s 1 200; run 100ms; expect s told 1 SVS; expect b open 1 1\n" },
	{ "49, 58: VIDs filled in", PAIR
	  "manager b vid 77; assoc s 1 0; run 100ms\n"
	  "expect s told 1 S; expect s vid 1 77; expect b vid 1 77; manager b vid 78; run 60s\n"
	  "expect s vid 1 77; expect b last ecp 525400000001 004d\n"
	  "expect s last ecp 525400000001 004d; deassoc s 1 0; run 100ms; expect s told 1 SE\n" },
	{ "51: a manager that says nothing",
	  PAIR "manager b silent; assoc s 1 200; run 12s\n"
	       "expect s told 1 V; expect b last ecp 0821 00; expect b vsis 0\n" },
	{ "51: and something stands",
	  ASSOCIATED "manager b silent; assoc s 1 300; run 12s\n"
		     "expect s told 1 SK; expect b last ecp 0621 63; expect s vid 1 200\n"
		     "expect b open 1 1\n" },
	{ "54: of what is not there", ASSOCIATED "count b; mute s; run 17s; unmute s; run 2s\n"
						 "expect b plane 1 -; expect b vsis 0; run 12s\n" },
	{ "55: not heard of any more",
	  ASSOCIATED "mute s; run 20s; expect b open 1 0; expect b vsis 0\n"
		     "expect b last ecp 0821 00; expect s told 1 SV; expect s vsis 0\n" },
	{ "55: and it is asked for again after a cut", ASSOCIATED
	  "cut s; run 10s; expect b open 1 1\n"
	  "join s; run 1s; expect s told 1 S; expect b plane 1 A; expect s vsi 1 assoc\n" },
	{ "57: traffic passes for an association only", PAIR
	  "pre s 1 200; run 100ms\n"
	  "expect b vsi 1 pre; expect b open 1 0; prerr s 1 200; run 100ms; expect b open 1 0\n"
	  "assoc s 1 200; run 100ms; expect b open 1 1; expect b plane 1 prA\n"
	  "deassoc s 1; run 100ms; expect b open 1 0; expect b plane 1 prA-\n" },
	{ "57: a pre-association is kept alive, too",
	  PAIR "pre s 1 200; run 300s; expect b vsi 1 pre\n"
	       "kill s; run 20s; expect b vsis 0\n" },
	{ "requests and responses lost", ASSOCIATED
	  "drop s 3 ecp; assoc s 1 300; run 2s; expect s told 1 SS\n"
	  "drop b 3 ecp; assoc s 1 400; run 2s; expect s told 1 SSS; expect b vid 1 400\n" },
	{ "GroupIDs in use follow the peer, VSIs stay",
	  ASSOCIATED "set s gid 1; set b gid 1; run 2s\n"
		     "expect s gid 1; stop b; run 1s; expect s gid 0; expect s vsi 1 assoc\n"
		     "expect b vsi 1 assoc\n" },
	{ "EVB is lost, VDP goes on",
	  ASSOCIATED "stop s; run 60s; expect b reflect 0; expect b vsi 1 assoc\n" },
};

static void conformance(void **state)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		struct sim *sim = sim_new(i + 1);

		sim_play(sim, scenarios[i].name, scenarios[i].text);
		sim_free(sim);
	}
}

/* 60, and the speed that is wanted: a thousand over a link of 1 ms, in virtual time. */
static void a_thousand_in_150_ms(void **state)
{
	struct sim *sim = sim_new(1);

	sim_play(sim, "many", PAIR);
	for (unsigned x = 1; x <= 1000; x++) {
		struct vdp_assoc a = sim_vsi(VDP_ASSOCIATE, x, 200);

		assert_int_equal(
			vdp_station_request(&sim_node(sim, "s")->link.station, sim->now, &a), 0);
	}
	/* 8, 16 and 32, then 42 in each PDU, 5 ms apart. */
	sim_play(sim, "many",
		 "count s; count b; run 150ms; expect s sent ecp 26\n"
		 "expect s gap>=5ms; expect b gap>=5ms; expect b vsis 1000\n"
		 "expect s told 1000 S; expect s told 1 S; expect s told 500 S\n");
	sim_free(sim);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conformance),
		cmocka_unit_test(a_thousand_in_150_ms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
