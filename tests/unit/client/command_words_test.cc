#include "client/cpp/attnctl/command_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/completion_script.h"

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CommandWordsTest : public ::testing::Test {
 protected:
  CommandWordsTest() {
    app_.add_option("--address", address_, "Where");
    app_.set_version_flag("--version", "1");
    CLI::App* attend = app_.add_subcommand("attend", "It's one: call");
    attend->add_option("-c,--causal", causal_, "Order")
        ->check(CLI::IsMember({"none", "top-left"}));
    attend->add_flag("--lse", lse_, "Log-sum-exp");
    CLI::App* help = app_.add_subcommand("help", "Explain");
    help->add_option("topic", causal_)->check(CLI::IsMember({"masks"}));
    words_ = ReadCommandWords(app_);
  }

  const FlagWords& Flag(const CommandWords& command, const std::string& name) {
    for (const FlagWords& flag : command.flags) {
      if (flag.names.back() == name) {
        return flag;
      }
    }
    throw std::out_of_range(name);
  }

  CLI::App app_{"Does things", "tool"};
  std::string address_, causal_;
  bool lse_ = false;
  std::vector<CommandWords> words_;
};

TEST_F(CommandWordsTest, HasEachCommandByItsPath) {
  ASSERT_EQ(words_.size(), 3u);
  EXPECT_EQ(words_[0].path, "tool");
  EXPECT_EQ(words_[1].path, "tool attend");
  EXPECT_EQ(words_[2].path, "tool help");
  ASSERT_EQ(words_[0].subcommands.size(), 2u);
  EXPECT_EQ(words_[0].subcommands[1].help, "Explain");
}

TEST_F(CommandWordsTest, FlagsSayTheirValues) {
  const FlagWords& causal = Flag(words_[1], "--causal");
  EXPECT_THAT(causal.names, ElementsAre("-c", "--causal"));
  EXPECT_THAT(causal.choices, ElementsAre("none", "top-left"));
  EXPECT_TRUE(causal.takes_value);
  EXPECT_FALSE(Flag(words_[1], "--lse").takes_value);
  EXPECT_THAT(Flag(words_[0], "--address").choices, IsEmpty());
}

TEST_F(CommandWordsTest, FlagsOfTheWholeProgramGoBehindCommandsToo) {
  EXPECT_TRUE(Flag(words_[1], "--address").takes_value);
  EXPECT_THROW(Flag(words_[1], "--version"), std::out_of_range);
}

TEST_F(CommandWordsTest, ArgumentsOfAFewWordsAreKnown) {
  EXPECT_THAT(words_[2].arguments, ElementsAre("masks"));
  EXPECT_THAT(words_[1].arguments, IsEmpty());
}

TEST_F(CommandWordsTest, BashGetsPlacesAndValues) {
  const std::string script = RenderBashCompletion(words_);
  EXPECT_THAT(script, HasSubstr("\"tool attend\" | \"tool help\") place+="));
  EXPECT_THAT(script,
              HasSubstr("\"tool attend -c\" | \"tool attend --causal\") "
                        "COMPREPLY=($(compgen -W \"none top-left\""));
  EXPECT_THAT(script, HasSubstr("complete -o default -F _tool tool\n"));
}

TEST_F(CommandWordsTest, ZshGetsTheHelpWithQuotesThatHold) {
  const std::string script = RenderZshCompletion(words_);
  EXPECT_THAT(script, HasSubstr("#compdef tool\n"));
  EXPECT_THAT(script, HasSubstr("'attend:It'\\''s one: call'"));
  EXPECT_THAT(script, HasSubstr("compadd -- none top-left; return"));
}

}  // namespace
}  // namespace attn::attnctl
