#pragma once

#include <FS.h>
