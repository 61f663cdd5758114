/*
 * The dialect as cases: values with their canonical text, and streams with what they give.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = test-lexer.c
 */
#pragma once

/* A value and how the text has it. */
static const char *const values[][2] = {
    { "0", "0" },
    { "-0", "-0" },
    { "12", "12" },
    { "-9.50", "-9.50" },
    { "1e3", "1e3" },
    { "0e1", "0e1" },
    { "1.5E+10", "1.5E+10" },
    { "2e-7", "2e-7" },
    { "123456789012345678901234567890", "123456789012345678901234567890" },
    { "true", "true" },
    { "false", "false" },
    { "null", "null" },
    { "\"\"", "\"\"" },
    { "''", "\"\"" },
    { "'a'", "\"a\"" },
    { "\"it's\"", "\"it's\"" },
    { "'say \"x\"'", "\"say \\\"x\\\"\"" },
    { "'\\''", "\"'\"" },
    { "\"\\'\"", "\"'\"" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
    { "\"\\u0041\\u00e9\\u20AC\"", "\"A\xc3\xa9\xe2\x82\xac\"" },
    { "\"\\ud83d\\uDE00\"", "\"\xf0\x9f\x98\x80\"" },
    { "\"\\u0001\\u001f\"", "\"\\u0001\\u001F\"" },
    { "\"\\u0008\\u000a\"", "\"\\b\\n\"" },
    { "\"\x7f\"", "\"\x7f\"" },
    { "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbd\"",
      "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbd\"" },
    { "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\\n\"",
      "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\\n\"" },
    { " 1 ,\t[ ] ,\r\n{ } ", "1,[],{}" },
    { "[[1],[{\"a\":[]}]]", "[[1],[{\"a\":[]}]]" },
    { "{ 'a' : 1 , \"b\" : 'c' }", "{\"a\":1,\"b\":\"c\"}" },
};

/* A stream and its transcript, see lexer_play.h. */
static const char *const transcripts[][2] = {
    { "{\"execute\":\"guest-ping\"}",
      "R {\"execute\":\"guest-ping\"} execute=guest-ping OEs members=0 lifted=0\n" },
    { "\n {'execute' : 'guest-sync' , 'id': [1, {\"a\":null}],\"arguments\":{'id':5}}\r\n{}",
      "R {\"execute\":\"guest-sync\",\"id\":[1,{\"a\":null}],\"arguments\":{\"id\":5}} execute=guest-sync"
      " id=[1,{\"a\":null}] arguments={\"id\":5} OEsIA members=1 lifted=0\nR {} O members=0 lifted=0\n" },
    { "{\"\\u0065xecute\":\"a\\u0062\"}{}",
      "R {\"execute\":\"ab\"} execute=ab OEs members=0 lifted=0\nR {} O members=0 lifted=0\n" },
    { "{\"execute\":'a\"\\\\\\u0001'}",
      "R {\"execute\":\"a\\\"\\\\\\u0001\"} execute=a\"\\\x01 OEs members=0 lifted=0\n" },
    { "{\"execute\":1}", "R {\"execute\":1} OE members=0 lifted=0\n" },
    { "{\"execute\":\"\"}", "R {\"execute\":\"\"} OEs members=0 lifted=0\n" },
    { "{\"id\":null,\"x\":1,\"y\":2}",
      "R {\"id\":null,\"x\":1,\"y\":2} id=null unknown=x OI members=0 lifted=0\n" },
    { "{\"\":1}", "R {\"\":1} unknown=\"\" O members=0 lifted=0\n" },
    { "{\"id\":1,\"id\":2}", "R {\"id\":1,\"id\":2} id=2 OIr members=0 lifted=0\n" },
    { "{\"execute\":\"a\",\"execute\":2}", "R {\"execute\":\"a\",\"execute\":2} OEr members=0 lifted=0\n" },
    { "{\"arguments\":[{\"password\":\"x\"}]}",
      "R {\"arguments\":[{\"password\":\"x\"}]} arguments=[{\"password\":\"x\"}] OA members=1 "
      "lifted=0\n" },
    { "{\"arguments\":{\"a\":{\"b\":1,\"b\":[{\"c\":2}]}}}",
      "R {\"arguments\":{\"a\":{\"b\":1,\"b\":[{\"c\":2}]}}} "
      "arguments={\"a\":{\"b\":1,\"b\":[{\"c\":2}]}} OA members=4 lifted=0\n" },
    { "{\"arguments\":{\"buf-b64\":\"QU\\nI=\\u00e9\xc3\xa9\\\"'\",\"password\":'\"'}}",
      "<buf-b64>QU\nI=\xc3\xa9\xc3\xa9\"'<password>\"R "
      "{\"arguments\":{\"buf-b64\":\"\",\"password\":\"\"}} "
      "arguments={\"buf-b64\":\"\",\"password\":\"\"} OA members=2 lifted=3\n" },
    { "{\"arguments\":{\"buf\\u002db64\":\"\"}}",
      "<buf-b64>R {\"arguments\":{\"buf-b64\":\"\"}} arguments={\"buf-b64\":\"\"} OA members=1 "
      "lifted=1\n" },
    { "{\"arguments\":{\"password\":1,\"a\":\"x\"}}",
      "R {\"arguments\":{\"password\":1,\"a\":\"x\"}} arguments={\"password\":1,\"a\":\"x\"} OA "
      "members=2 lifted=0\n" },
    { "{\"arguments\":{\"password\":[\"x\"]}}",
      "R {\"arguments\":{\"password\":[\"x\"]}} arguments={\"password\":[\"x\"]} OA members=1 "
      "lifted=0\n" },
    { "{\"arguments\":{\"a\":{\"password\":\"x\"}}}",
      "R {\"arguments\":{\"a\":{\"password\":\"x\"}}} arguments={\"a\":{\"password\":\"x\"}} OA "
      "members=2 lifted=0\n" },
    { "{\"password\":\"x\"}", "R {\"password\":\"x\"} unknown=password O members=0 lifted=0\n" },
    { "1 ", "R 1  members=0 lifted=0\n" },
    { "12", "" },
    { "true,\n\"x\"[]", "R true  members=0 lifted=0\nE1001 JSON parse error at byte 1 of the request: a "
                        "value is missing here\n"
                        "R \"x\"  members=0 lifted=0\nR []  members=0 lifted=0\n" },
    { "  \n", "" },
    { "{\"a\":\n\xff{}", "X1\nR {} O members=0 lifted=0\n" },
    { "{\"a\":\"\xfe{}", "X1\nR {} O members=0 lifted=0\n" },
    { "{\"a\":\"\\ud8\xff{}", "X1\nR {} O members=0 lifted=0\n" },
    { "{\"a\":\"\xc3\xff{}", "X1\nR {} O members=0 lifted=0\n" },
    { "[12.\xff[]", "X1\nR []  members=0 lifted=0\n" },
    { "[nu\xff[]", "X1\nR []  members=0 lifted=0\n" },
    { "\xff{}", "X0\nR {} O members=0 lifted=0\n" },
    { "{}\xff{}", "R {} O members=0 lifted=0\nX0\nR {} O members=0 lifted=0\n" },
    { "[01 x\xff[]", "E1004 JSON parse error at byte 3 of the request: this is not a number as JSON "
                     "writes it\nX0\nR []  members=0 lifted=0\n" },
    { "\n [\"a\nb\"]\n[]", "E1004 JSON parse error at byte 4 of the request: write control characters in "
                           "strings as escapes, and end the string\n"
                           "E1004 JSON parse error at byte 2 of the request: invalid keyword 'b' (true, "
                           "false and null exist)\nR []  members=0 lifted=0\n" },
    { "nul\n[]", "E1004 JSON parse error at byte 4 of the request: invalid keyword 'nul' (true, false "
                 "and null exist)\nR []  members=0 lifted=0\n" },
    { "{\"arguments\":{\"password\":\"a\",\"password\":\"b\"}}\n[]",
      "<password>aE1009 JSON parse error at byte 41 of the request: this argument stands twice in the "
      "request\nR []  members=0 lifted=0\n" },
};
